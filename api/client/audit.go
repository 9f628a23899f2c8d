package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"grapevine/fleet"
)

// askedByHeader says for whom a registry asks an agent.
const askedByHeader = "Grapevine-Asked-By"

// pass says for whom a mutation is asked, where the context has it.
func pass(req *http.Request) {
	if req.Method == http.MethodGet || req.Method == http.MethodHead {
		return
	}
	if who, ok := fleet.BehalfOf(req.Context()); ok {
		req.Header.Set(askedByHeader, who.Encode())
	}
}

// Audit returns a page of what a host was asked to change.
func (c *Client) Audit(ctx context.Context, host fleet.HostID, q fleet.AuditQuery) (fleet.AuditPage, error) {
	query := url.Values{}
	if q.After != nil {
		query.Set("after", strconv.FormatUint(*q.After, 10))
	}
	if q.Before != 0 {
		query.Set("before", strconv.FormatUint(q.Before, 10))
	}
	if q.Limit != 0 {
		query.Set("limit", strconv.Itoa(q.Limit))
	}
	if !q.Since.IsZero() {
		query.Set("since", q.Since.Format(time.RFC3339Nano))
	}
	if q.Who != "" {
		query.Set("who", q.Who)
	}
	if q.Subject != "" {
		query.Set("subject", q.Subject)
	}
	return get[fleet.AuditPage](ctx, c, "/v1/hosts/"+host.String()+"/audit", query)
}

// AuditHeads returns what nodes have heard of a host's audit log: with local the
// node that is asked alone, otherwise it asks all others too.
func (c *Client) AuditHeads(ctx context.Context, host fleet.HostID, local bool) (fleet.AuditHeads, error) {
	query := url.Values{}
	if local {
		query.Set("local", "true")
	}
	return get[fleet.AuditHeads](ctx, c, "/v1/hosts/"+host.String()+"/audit/heads", query)
}

// WholeAudit reads a host's log from where it begins, page by page. It returns
// where that is, and where the log ended at the last page.
func (c *Client) WholeAudit(ctx context.Context, host fleet.HostID, take func(begin fleet.AuditLink, entries []fleet.AuditEntry)) (begin, head fleet.AuditLink, err error) {
	var after uint64
	for first := true; ; first = false {
		page, err := c.Audit(ctx, host, fleet.AuditQuery{After: &after})
		if err != nil {
			return begin, head, err
		}
		if first {
			begin = page.Begin
		}
		take(begin, page.Items)
		if page.Next <= after { // a node that sends one page for ever is not followed
			return begin, page.Head, nil
		}
		after = page.Next
	}
}
