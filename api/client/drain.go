package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"grapevine/fleet"
)

// PlanDrain returns how a host is being emptied; with a mode in req, what that
// would do.
func (c *Client) PlanDrain(ctx context.Context, id fleet.HostID, req fleet.DrainRequest) (fleet.Drain, error) {
	query := url.Values{}
	if req.Mode != "" {
		query.Set("mode", string(req.Mode))
	}
	if req.DeadlineMS != 0 {
		query.Set("deadline_ms", strconv.FormatInt(req.DeadlineMS, 10))
	}
	if req.Force {
		query.Set("force", "true")
	}
	return get[fleet.Drain](ctx, c, drainPath(id, "drain"), query)
}

// StartDrain empties a host, which goes on with it by itself.
func (c *Client) StartDrain(ctx context.Context, id fleet.HostID, req fleet.DrainRequest) (fleet.Drain, error) {
	return send[fleet.Drain](ctx, c, call{method: http.MethodPost, path: drainPath(id, "drain")}, req)
}

// Undrain brings a drained host back, with what its drain stopped.
func (c *Client) Undrain(ctx context.Context, id fleet.HostID) (fleet.Drain, error) {
	return send[fleet.Drain](ctx, c, call{method: http.MethodPost, path: drainPath(id, "undrain")}, nil)
}

func drainPath(id fleet.HostID, verb string) string { return "/v1/hosts/" + id.String() + "/" + verb }
