package client

import (
	"context"
	"net/http"

	"grapevine/fleet"
)

// ReleaseHost ends the quarantine of a host.
func (c *Client) ReleaseHost(ctx context.Context, id fleet.HostID, decide fleet.Decide) (fleet.Host, error) {
	return send[fleet.Host](ctx, c, call{method: http.MethodPost, path: "/v1/hosts/" + id.String() + "/release"}, decide)
}
