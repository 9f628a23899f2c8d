package client

import (
	"context"

	"grapevine/fleet"
)

// Verify has every host of the fleet look through what it has.
func (c *Client) Verify(ctx context.Context) (fleet.Verification, error) {
	return get[fleet.Verification](ctx, c, "/v1/verify", nil)
}

// VerifyHost has one host look through what it has.
func (c *Client) VerifyHost(ctx context.Context, id fleet.HostID) (fleet.Verification, error) {
	return get[fleet.Verification](ctx, c, "/v1/hosts/"+id.String()+"/verify", nil)
}
