package registry

import (
	"context"

	"grapevine/api/client"
	"grapevine/fleet"
)

// ExportInstance implements api.Core: the instance's host prepares it.
func (c *core) ExportInstance(ctx context.Context, id fleet.InstanceID) (fleet.Accepted, error) {
	return c.atOwner(ctx, id, func(ctx context.Context, peer *client.Client) (fleet.Accepted, error) {
		return peer.ExportInstance(ctx, id, 0)
	})
}

// DropExport implements api.Core: the instance's host does it.
func (c *core) DropExport(ctx context.Context, id fleet.InstanceID) error {
	_, err := c.atOwner(ctx, id, func(ctx context.Context, peer *client.Client) (fleet.Accepted, error) {
		return fleet.Accepted{}, peer.DropExport(ctx, id)
	})
	return err
}
