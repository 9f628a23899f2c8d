package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"grapevine/fleet"
)

// DecideHost states what became of a host that cannot be heard, or revokes one. It may be sent
// again: that makes no second record.
func (c *Client) DecideHost(ctx context.Context, id fleet.HostID, kind fleet.RecordKind, ask fleet.Decide) (fleet.Decided, error) {
	verb := string(kind)
	if kind == fleet.RevokeHost {
		verb = "revoke"
	}
	path := "/v1/hosts/" + id.String() + "/" + url.PathEscape(verb)
	return send[fleet.Decided](ctx, c, call{method: http.MethodPost, path: path}, ask)
}

// IntendDelete has an instance whose host cannot be heard deleted by it when it is
// back. It may be sent again: that makes no second record.
func (c *Client) IntendDelete(ctx context.Context, id fleet.InstanceID, ask fleet.Decide) (fleet.Decided, error) {
	return send[fleet.Decided](ctx, c, call{method: http.MethodPost, path: "/v1/instances/" + id.String() + "/delete-intent"}, ask)
}

// Records returns a page of the facts that no host owns.
func (c *Client) Records(ctx context.Context, q fleet.RecordQuery) (fleet.List[fleet.RecordRow], error) {
	query := url.Values{}
	if !q.Subject.IsZero() {
		query.Set("subject", q.Subject.String())
	}
	if !q.Marker.IsZero() {
		query.Set("marker", q.Marker.String())
	}
	if q.Limit != 0 {
		query.Set("limit", strconv.Itoa(q.Limit))
	}
	return get[fleet.List[fleet.RecordRow]](ctx, c, "/v1/records", query)
}

// AllRecords returns every record about a subject, or of all where it is zero,
// page after page. Its coverage is that of the last page.
func (c *Client) AllRecords(ctx context.Context, subject fleet.UUID) (fleet.List[fleet.RecordRow], error) {
	all := fleet.List[fleet.RecordRow]{Items: []fleet.RecordRow{}}
	q := fleet.RecordQuery{Subject: subject}
	for {
		page, err := c.Records(ctx, q)
		if err != nil {
			return fleet.List[fleet.RecordRow]{}, err
		}
		all.Items, all.Coverage = append(all.Items, page.Items...), page.Coverage
		if page.Next == "" || len(page.Items) == 0 {
			return all, nil
		}
		q.Marker = page.Items[len(page.Items)-1].ID
	}
}

// PutRecord has an agent journal a copy of a record, and returns what it then
// holds.
func (c *Client) PutRecord(ctx context.Context, r fleet.Record) (fleet.Record, error) {
	return send[fleet.Record](ctx, c, call{method: http.MethodPut, path: "/v1/records/" + r.ID.String()}, r)
}
