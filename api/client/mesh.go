package client

import (
	"context"

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
