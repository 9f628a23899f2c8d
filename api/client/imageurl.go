package client

import (
	"context"
	"net/http"
	"net/url"

	"grapevine/fleet"
)

// ImportURL lets a host download an image; with the zero id the node chooses.
// The operation tells how far it is.
func (c *Client) ImportURL(ctx context.Context, host fleet.HostID, req fleet.ImportURL) (fleet.Operation, error) {
	r := call{method: http.MethodPost, path: "/v1/images/import", query: url.Values{}}
	if !host.IsZero() {
		r.query.Set("host", host.String())
	}
	return send[fleet.Operation](ctx, c, r, req)
}
