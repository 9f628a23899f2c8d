package client

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"grapevine/fleet"
)

func exportPath(id fleet.InstanceID) string { return "/v1/instances/" + id.String() + "/export" }

// ExportInstance prepares a stopped instance to be carried away. With wait the
// answer is held until the instance has no task, at most so long.
func (c *Client) ExportInstance(ctx context.Context, id fleet.InstanceID, wait time.Duration) (fleet.Accepted, error) {
	return send[fleet.Accepted](ctx, c, call{method: http.MethodPost, path: exportPath(id), query: waiting(wait)}, nil)
}

// Export returns what is prepared of an instance.
func (c *Client) Export(ctx context.Context, id fleet.InstanceID) (fleet.PreparedExport, error) {
	return get[fleet.PreparedExport](ctx, c, exportPath(id), nil)
}

// ReadExport reads a part of the file of the export with this id. The caller
// closes it; ctx ends it. A reader that ends early, with or without an error, was
// cut off. Another export by now is fleet.CodeConflict.
func (c *Client) ReadExport(ctx context.Context, id fleet.InstanceID, part fleet.ExportRange) (io.ReadCloser, error) {
	last := part.Offset + part.Length - 1
	resp, err := c.do(ctx, call{
		method: http.MethodGet, path: exportPath(id) + "/file",
		header: http.Header{"Range": {fmt.Sprintf("bytes=%d-%d", part.Offset, last)}, "If-Range": {`"` + part.ID + `"`}},
	})
	if err != nil {
		return nil, err
	}
	if resp.StatusCode == http.StatusOK {
		_ = resp.Body.Close() // it is the whole of another
		return nil, &fleet.Error{Code: fleet.CodeConflict, Detail: fmt.Sprintf("instance %s has been exported anew meanwhile; begin again", id)}
	}
	var first, end, size int64
	_, err = fmt.Sscanf(resp.Header.Get("Content-Range"), "bytes %d-%d/%d", &first, &end, &size)
	if resp.StatusCode != http.StatusPartialContent || err != nil || first != part.Offset || end != last {
		_ = resp.Body.Close() // nothing of it is used
		return nil, &TransportError{Addr: c.addr, Sent: true, Err: fmt.Errorf("asked for bytes %d-%d, it answered %s with range %q",
			part.Offset, last, resp.Status, resp.Header.Get("Content-Range"))}
	}
	return resp.Body, nil
}

// DropExport removes what is prepared of an instance.
func (c *Client) DropExport(ctx context.Context, id fleet.InstanceID) error {
	_, err := send[struct{}](ctx, c, call{method: http.MethodDelete, path: exportPath(id)}, nil)
	return err
}
