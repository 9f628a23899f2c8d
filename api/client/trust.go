package client

import (
	"context"
	"net/http"
	"net/url"

	"grapevine/fleet"
)

// TrustReport says which roots the fleet trusts, and how far its nodes have come
// with them: with local the node that is asked alone.
func (c *Client) TrustReport(ctx context.Context, local bool) (fleet.TrustReport, error) {
	query := url.Values{}
	if local {
		query.Set("local", "true")
	}
	return get[fleet.TrustReport](ctx, c, "/v1/trust", query)
}

// ChangeTrust has a list of roots followed. It may be sent again: that makes no
// second record.
func (c *Client) ChangeTrust(ctx context.Context, ask fleet.ChangeTrust) (fleet.Decided, error) {
	return send[fleet.Decided](ctx, c, call{method: http.MethodPost, path: "/v1/trust"}, ask)
}
