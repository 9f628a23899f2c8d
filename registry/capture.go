package registry

import (
	"context"

	"grapevine/api/client"
	"grapevine/fleet"
)

// CaptureInstance implements api.Core: the instance's host does it.
func (c *core) CaptureInstance(ctx context.Context, id fleet.InstanceID, req fleet.CaptureInstance) (fleet.Accepted, error) {
	return c.atOwner(ctx, id, func(ctx context.Context, peer *client.Client) (fleet.Accepted, error) {
		return peer.CaptureInstance(ctx, id, req, 0)
	})
}
