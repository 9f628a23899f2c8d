package libvirt

import (
	"context"
	"fmt"
	"io"
	"strings"

	golibvirt "github.com/digitalocean/go-libvirt"

	"grapevine/drivers"
	"grapevine/drivers/libvirt/session"
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
		needs, err := d.needs(ctx, &m, id)
		if err != nil {
			return err
		}
		if needs {
			return &fleet.Error{
				Code:   fleet.CodeConflict,
				Detail: fmt.Sprintf("machine %s (%s) is built on image %.12s; delete it first", m.ID, m.Name, id),
			}
		}
	}
	return nil
}

// needs reports whether a machine is built on the image. One without a Mark, or
// whose Mark does not say, may have been disowned: what its domain and its disks
// lie upon says it then, in paths that have the image's id in them.
func (d *Driver) needs(ctx context.Context, m *drivers.Machine, image string) (needs bool, err error) {
	if m.Mark != nil && m.Mark.Image != "" {
		return m.Mark.Image == image || m.Mark.Rescue.Image == image, nil
	}
	err = d.session.Call(ctx, func(rpc *golibvirt.Libvirt) error {
		text, err := rpc.DomainGetXMLDesc(golibvirt.Domain{Name: m.Name, UUID: golibvirt.UUID(m.ID), ID: -1}, golibvirt.DomainXMLInactive)
		if err != nil {
			return err
		}
		if needs = strings.Contains(text, image); needs {
			return nil
		}
		seen, err := parseDomain(text)
		if err != nil {
			return err
		}
		needs, err = lieUpon(rpc, seen.Disks, image)
		return err
	})
	if session.IsCode(err, golibvirt.ErrNoDomain) {
		return false, nil
	}
	return needs, err
}

// lieUpon reports whether one of the disks that libvirt's pools know lies upon
// the image.
func lieUpon(rpc *golibvirt.Libvirt, disks []seenDisk, image string) (bool, error) {
	for _, disk := range disks {
		if disk.Source.File == "" {
			continue
		}
		vol, err := rpc.StorageVolLookupByPath(disk.Source.File)
		if session.IsCode(err, golibvirt.ErrNoStorageVol) {
			continue
		}
		if err != nil {
			return false, err
		}
		text, err := rpc.StorageVolGetXMLDesc(vol, 0)
		if err != nil {
			return false, err
		}
		if strings.Contains(text, image) {
			return true, nil
		}
	}
	return false, nil
}
