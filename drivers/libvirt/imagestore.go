package libvirt

import (
	"context"
	"fmt"
	"io"

	"grapevine/fleet"
)

// Images implements drivers.ImageStore.
func (d *Driver) Images(ctx context.Context) ([]fleet.Image, error) {
	return d.storage.Images(ctx)
}

// ImportImage implements drivers.ImageStore.
func (d *Driver) ImportImage(ctx context.Context, im fleet.Image, content io.Reader) error {
	return d.storage.ImportImage(ctx, im, content)
}

// ReadImage implements drivers.ImageReader.
func (d *Driver) ReadImage(ctx context.Context, id string, role fleet.ImageRole, offset, length int64) (io.ReadCloser, error) {
	return d.storage.ReadImage(ctx, id, role, offset, length)
}

// RemoveImage implements drivers.ImageStore. An image that a machine was built
// from stays: the machine's disk and kernel are parts of it.
func (d *Driver) RemoveImage(ctx context.Context, id string) error {
	return d.storage.RemoveImage(ctx, id, func(ctx context.Context) error { return d.unused(ctx, id) })
}

// unused is the conflict with a machine that was built from the image.
func (d *Driver) unused(ctx context.Context, id string) error {
	machines, err := d.list(ctx)
	if err != nil {
		return err
	}
	for _, m := range machines {
		if m.Mark != nil && m.Mark.Image == id {
			return &fleet.Error{
				Code:   fleet.CodeConflict,
				Detail: fmt.Sprintf("instance %s (%s) is built on image %.12s; delete it first", m.ID, m.Mark.Name, id),
			}
		}
	}
	return nil
}
