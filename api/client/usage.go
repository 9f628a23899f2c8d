package client

import (
	"context"

	"grapevine/fleet"
)

// Usage returns what an instance has used since it was switched on.
func (c *Client) Usage(ctx context.Context, id fleet.InstanceID) (fleet.InstanceUsage, error) {
	return get[fleet.InstanceUsage](ctx, c, "/v1/instances/"+id.String()+"/usage", nil)
}
