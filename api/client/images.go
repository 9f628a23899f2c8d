package client

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"

	"grapevine/fleet"
)

// Images returns the images of the fleet, each with its holders.
func (c *Client) Images(ctx context.Context) (fleet.List[fleet.Image], error) {
	return get[fleet.List[fleet.Image]](ctx, c, "/v1/images", nil)
}

// Image returns one image by its id.
func (c *Client) Image(ctx context.Context, id string) (fleet.Image, error) {
	return get[fleet.Image](ctx, c, "/v1/images/"+url.PathEscape(id), nil)
}

// ImportImage uploads an image to a host; with the zero id the node chooses.
// Files are the contents in the order of im.Files, each exactly as long as the
// manifest says; wrap a reader to show progress. None is read any more once
// ImportImage has returned.
func (c *Client) ImportImage(ctx context.Context, host fleet.HostID, im fleet.Image, files ...io.Reader) (fleet.Image, error) {
	body, err := newUpload(im, files)
	if err != nil {
		return fleet.Image{}, err
	}
	defer body.stop()
	r := call{
		method: http.MethodPost, path: "/v1/images", query: url.Values{},
		header: http.Header{"Content-Type": {body.contentType}},
		body:   body, length: body.length,
	}
	if !host.IsZero() {
		r.query.Set("host", host.String())
	}
	stored, err := send[fleet.Image](ctx, c, r, nil)
	if local := body.failure(); err != nil && local != nil {
		return fleet.Image{}, local // our own file was at fault, not the way or the node
	}
	return stored, err
}

// ImportContent is ImportImage for content that is all files one after the
// other, in the order of im.Files.
func (c *Client) ImportContent(ctx context.Context, host fleet.HostID, im fleet.Image, content io.Reader) (fleet.Image, error) {
	files := make([]io.Reader, len(im.Files))
	for i, f := range im.Files {
		files[i] = io.LimitReader(content, f.Bytes)
	}
	return c.ImportImage(ctx, host, im, files...)
}

// newUpload lays the multipart form out: the part "manifest", then one part for
// each file, named by its role. Its length is known beforehand.
func newUpload(im fleet.Image, files []io.Reader) (*upload, error) {
	if len(files) != len(im.Files) {
		return nil, fmt.Errorf("import image %q: %d files for a manifest of %d", im.Name, len(files), len(im.Files))
	}
	var frame bytes.Buffer // what stands between the files
	form := multipart.NewWriter(&frame)
	u := &upload{contentType: form.FormDataContentType()}
	flush := func() {
		u.parts = append(u.parts, bytes.NewReader(bytes.Clone(frame.Bytes())))
		u.length += int64(frame.Len())
		frame.Reset()
	}
	manifest, err := form.CreateFormField("manifest")
	if err != nil {
		return nil, fmt.Errorf("make upload: %w", err)
	}
	if err := json.NewEncoder(manifest).Encode(im); err != nil {
		return nil, fmt.Errorf("encode image manifest: %w", err)
	}
	for i, f := range im.Files {
		if _, err := form.CreateFormFile(string(f.Role), string(f.Role)); err != nil {
			return nil, fmt.Errorf("make upload: %w", err)
		}
		flush()
		u.parts = append(u.parts, &exact{role: f.Role, from: files[i], want: f.Bytes})
		u.length += f.Bytes
	}
	if err := form.Close(); err != nil {
		return nil, fmt.Errorf("make upload: %w", err)
	}
	flush()
	return u, nil
}
