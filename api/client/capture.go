package client

import (
	"context"
	"net/http"
	"time"

	"grapevine/fleet"
)

// CaptureInstance makes an image of a stopped instance. With wait the answer is
// held until the instance has no task, at most so long; the operation names the
// image.
func (c *Client) CaptureInstance(ctx context.Context, id fleet.InstanceID, req fleet.CaptureInstance, wait time.Duration) (fleet.Accepted, error) {
	return send[fleet.Accepted](ctx, c, call{method: http.MethodPost, path: "/v1/instances/" + id.String() + "/capture", query: waiting(wait)}, req)
}
