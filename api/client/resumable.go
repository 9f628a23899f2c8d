package client

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"grapevine/fleet"
)

// BeginUpload says how much of an image a host has, and makes ready for the
// rest; with the zero id the node chooses the host.
func (c *Client) BeginUpload(ctx context.Context, host fleet.HostID, im fleet.Image) (fleet.Upload, error) {
	return send[fleet.Upload](ctx, c, uploadCall(http.MethodPost, host, im.ID), im)
}

// Upload says how far an upload is.
func (c *Client) Upload(ctx context.Context, host fleet.HostID, id string) (fleet.Upload, error) {
	return send[fleet.Upload](ctx, c, uploadCall(http.MethodGet, host, id), nil)
}

// AppendUpload goes on with an upload at offset. Content is all that is missing,
// of so many bytes; with a negative length it may be less. It is not read any
// more once AppendUpload has returned. An error does not say that nothing has
// arrived: ask.
func (c *Client) AppendUpload(ctx context.Context, host fleet.HostID, id string, offset int64, content io.Reader, length int64) (fleet.Upload, error) {
	body := &upload{parts: []io.Reader{content}}
	defer body.stop()
	r := uploadCall(http.MethodPatch, host, id)
	r.header = http.Header{
		"Content-Type":    {"application/partial-upload"},
		"Upload-Offset":   {strconv.FormatInt(offset, 10)},
		"Upload-Complete": {"?1"},
	}
	if length < 0 {
		r.header.Set("Upload-Complete", "?0")
	}
	if length != 0 { // of nothing, only that it is complete is to be said
		r.body, r.length = body, length
	}
	state, err := send[fleet.Upload](ctx, c, r, nil)
	if local := body.failure(); err != nil && local != nil {
		return fleet.Upload{}, local // our own content was at fault, not the way or the node
	}
	return state, err
}

func uploadCall(method string, host fleet.HostID, id string) call {
	r := call{method: method, path: "/v1/images/" + url.PathEscape(id) + "/upload", query: url.Values{}}
	if !host.IsZero() {
		r.query.Set("host", host.String())
	}
	return r
}
