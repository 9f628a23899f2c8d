package client

import (
	"context"
	"net/url"

	"grapevine/fleet"
)

// Members returns the members of the mesh as the node sees them.
func (c *Client) Members(ctx context.Context) (fleet.List[fleet.Member], error) {
	return get[fleet.List[fleet.Member]](ctx, c, "/v1/mesh/members", nil)
}

// Links returns the node's links.
func (c *Client) Links(ctx context.Context) (fleet.List[fleet.Link], error) {
	return get[fleet.List[fleet.Link]](ctx, c, "/v1/mesh/links", nil)
}

// Digest returns what the node holds of each host, and the root over all.
func (c *Client) Digest(ctx context.Context) (fleet.Digest, error) {
	return get[fleet.Digest](ctx, c, "/v1/mesh/digest", nil)
}

// Lag returns how old the node's view of each host is.
func (c *Client) Lag(ctx context.Context) (fleet.Lag, error) {
	return get[fleet.Lag](ctx, c, "/v1/mesh/lag", nil)
}

// Trace asks for a trace; the node asks all others unless q is local.
func (c *Client) Trace(ctx context.Context, q fleet.TraceQuery) (fleet.Trace, error) {
	query := url.Values{}
	if !q.Instance.IsZero() {
		query.Set("instance", q.Instance.String())
	}
	if !q.Host.IsZero() {
		query.Set("host", q.Host.String())
	}
	if q.Local {
		query.Set("local", "true")
	}
	return get[fleet.Trace](ctx, c, "/v1/mesh/trace", query)
}

// Diff compares what two members hold, by name, id or address; an empty one is
// the node that is asked.
func (c *Client) Diff(ctx context.Context, a, b string) (fleet.DigestDiff, error) {
	query := url.Values{}
	for name, node := range map[string]string{"a": a, "b": b} {
		if node != "" {
			query.Set(name, node)
		}
	}
	return get[fleet.DigestDiff](ctx, c, "/v1/mesh/diff", query)
}
