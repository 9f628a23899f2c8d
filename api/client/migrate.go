package client

import (
	"context"
	"net/http"
	"net/url"

	"grapevine/fleet"
)

// MigrateInstance moves a stopped instance to another host.
func (c *Client) MigrateInstance(ctx context.Context, id fleet.InstanceID, ask fleet.Migrate, opts KeyedOptions) (fleet.Accepted, error) {
	return send[fleet.Accepted](ctx, c, opts.call(id, "migrate"), ask)
}

// OfferMove offers an instance to a host, as the host that it is to leave.
func (c *Client) OfferMove(ctx context.Context, m fleet.Move) (fleet.MoveReport, error) {
	return send[fleet.MoveReport](ctx, c, call{method: http.MethodPut, path: movePath(m.ID)}, m)
}

// MoveAt returns how far a move is at one of its two hosts.
func (c *Client) MoveAt(ctx context.Context, id string) (fleet.MoveReport, error) {
	return get[fleet.MoveReport](ctx, c, movePath(id), nil)
}

func movePath(id string) string { return "/v1/moves/" + url.PathEscape(id) }
