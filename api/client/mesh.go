package client

import (
	"context"
	"net/http"
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
	return get[fleet.DigestDiff](ctx, c, "/v1/mesh/diff", pair(a, b))
}

// pair is the query of a question about two members.
func pair(a, b string) url.Values {
	query := url.Values{}
	for name, node := range map[string]string{"a": a, "b": b} {
		if node != "" {
			query.Set(name, node)
		}
	}
	return query
}

// RTT returns what the node takes the round trip between two members to be, by
// name, id or address; an empty one is the node that is asked.
func (c *Client) RTT(ctx context.Context, a, b string) (fleet.RoundTrip, error) {
	return get[fleet.RoundTrip](ctx, c, "/v1/mesh/rtt", pair(a, b))
}

// Ping makes the node measure the round trip to a member.
func (c *Client) Ping(ctx context.Context, to string) (fleet.RoundTrip, error) {
	return get[fleet.RoundTrip](ctx, c, "/v1/mesh/ping", url.Values{"to": {to}})
}

// GossipKeys returns which gossip keys the members hold, by fingerprint.
func (c *Client) GossipKeys(ctx context.Context) (fleet.GossipKeyReport, error) {
	return get[fleet.GossipKeyReport](ctx, c, "/v1/mesh/keys", nil)
}

// ChangeGossipKeys installs, uses or removes a gossip key at every member.
func (c *Client) ChangeGossipKeys(ctx context.Context, change fleet.GossipKeyChange) (fleet.GossipKeyReport, error) {
	return send[fleet.GossipKeyReport](ctx, c, call{method: http.MethodPost, path: "/v1/mesh/keys"}, change)
}

// Leave makes the node leave the mesh and end, and returns the member that it
// was.
func (c *Client) Leave(ctx context.Context) (fleet.Member, error) {
	return send[fleet.Member](ctx, c, call{method: http.MethodPost, path: "/v1/mesh/leave"}, nil)
}
