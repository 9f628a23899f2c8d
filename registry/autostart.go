package registry

import (
	"context"

	"grapevine/api/client"
	"grapevine/fleet"
)

// SetAutostart implements api.Core: the instance's host does it.
func (c *core) SetAutostart(ctx context.Context, id fleet.InstanceID, ask fleet.Booting) (fleet.Accepted, error) {
	return c.atOwner(ctx, id, func(ctx context.Context, peer *client.Client) (fleet.Accepted, error) {
		return peer.SetAutostart(ctx, id, ask, 0)
	})
}
