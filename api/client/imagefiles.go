package client

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"grapevine/fleet"
)

// ReadImage reads length bytes of a file of an image at an agent that holds it,
// from offset on. The caller closes it; ctx ends it. A reader that ends early,
// with or without an error, was cut off.
func (c *Client) ReadImage(ctx context.Context, id string, role fleet.ImageRole, offset, length int64) (io.ReadCloser, error) {
	last := offset + length - 1
	resp, err := c.do(ctx, call{
		method: http.MethodGet,
		path:   "/v1/images/" + url.PathEscape(id) + "/files/" + url.PathEscape(string(role)),
		header: http.Header{"Range": {fmt.Sprintf("bytes=%d-%d", offset, last)}},
	})
	if err != nil {
		return nil, err
	}
	var first, end, size int64
	_, err = fmt.Sscanf(resp.Header.Get("Content-Range"), "bytes %d-%d/%d", &first, &end, &size)
	if resp.StatusCode != http.StatusPartialContent || err != nil || first != offset || end != last {
		_ = resp.Body.Close() // nothing of it is used
		return nil, &TransportError{Addr: c.addr, Sent: true, Err: fmt.Errorf("asked for bytes %d-%d, it answered %s with range %q",
			offset, last, resp.Status, resp.Header.Get("Content-Range"))}
	}
	return resp.Body, nil
}
