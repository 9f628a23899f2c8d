package client

import (
	"context"
	"net/http"
	"net/url"

	"grapevine/fleet"
)

// DeleteImage deletes an image at a host; with the zero id at all holders, and
// at an agent at its own.
func (c *Client) DeleteImage(ctx context.Context, id string, host fleet.HostID) (fleet.ImageDeletion, error) {
	r := call{method: http.MethodDelete, path: "/v1/images/" + url.PathEscape(id), query: url.Values{}}
	if !host.IsZero() {
		r.query.Set("host", host.String())
	}
	return send[fleet.ImageDeletion](ctx, c, r, nil)
}
