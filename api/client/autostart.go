package client

import (
	"context"
	"net/http"
	"time"

	"grapevine/fleet"
)

// SetAutostart says how an instance is brought up after a reboot of its host.
// With wait the answer is held until the instance has no task, at most so long.
func (c *Client) SetAutostart(ctx context.Context, id fleet.InstanceID, ask fleet.Booting, wait time.Duration) (fleet.Accepted, error) {
	return send[fleet.Accepted](ctx, c, call{method: http.MethodPost, path: "/v1/instances/" + id.String() + "/autostart", query: waiting(wait)}, ask)
}
