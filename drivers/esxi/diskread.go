package esxi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/vmware/govmomi/vim25/types"
	"github.com/vmware/govmomi/vmdk"

	"grapevine/drivers"
	"grapevine/fleet"
)

var _ drivers.DiskReader = (*Driver)(nil)

// readFolder is where a disk is copied to that is being read, within the folder
// of its machine, with which it goes.
func readFolder(id fleet.InstanceID) string { return machineFolder(id) + "/read" }

// ReadDisk implements drivers.DiskReader. The host copies the disk, with all
// that it lies upon, into one of its own form, and the extent of that, which is
// the disk as its guest sees it, is read through the datastore.
func (d *Driver) ReadDisk(ctx context.Context, id fleet.InstanceID, disk string) (*drivers.DiskContent, error) {
	what := fmt.Sprintf("read %s of machine %s", disk, id)
	reading, done, err := d.begin(ctx)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	unlock, err := d.builds.Take(reading, id)
	if err != nil {
		done()
		return nil, fmt.Errorf("%s: %w", what, ended(reading, err))
	}
	content := &copiedDisk{d: d, id: id, ctx: reading, done: sync.OnceFunc(func() { unlock(); done() })}
	err = d.do(reading, what, func(ctx context.Context, s *session) error {
		if err := content.copy(ctx, s, disk); err != nil {
			undoing, cancel := steady(ctx)
			defer cancel()
			return errors.Join(err, s.discardCopy(undoing, id))
		}
		return nil
	})
	if err != nil {
		content.done()
		return nil, err
	}
	return &drivers.DiskContent{ReadCloser: content, Format: fleet.FormatRaw, Bytes: content.left}, nil
}

// copiedDisk is the copy of a disk, on its way.
type copiedDisk struct {
	d    *Driver
	id   fleet.InstanceID
	ctx  context.Context // io.Reader has no place for it; the reader ends with the call
	part *filePart
	left int64 // bytes of the disk that were not read yet
	done func()
}

// copy makes the copy and begins to read it.
func (c *copiedDisk) copy(ctx context.Context, s *session, name string) error {
	m, err := c.d.find(ctx, s, c.id)
	if err != nil {
		return err
	}
	if err := drivers.Readable(&m.Machine); err != nil {
		return err
	}
	path, err := s.diskPath(ctx, m.ref, name)
	if err != nil {
		return err
	}
	folder := readFolder(c.id)
	if err := s.removeFolder(ctx, folder); err != nil {
		return err
	}
	if err := s.makeFolder(ctx, folder); err != nil {
		return err
	}
	if err := s.copyDiskAt(ctx, path, folder+"/"+diskFile); err != nil {
		return fmt.Errorf("copy disk: %w", err)
	}
	extent, size, err := s.extentOf(ctx, folder+"/"+diskFile)
	if err != nil {
		return err
	}
	c.left = size
	c.part, err = s.open(c.ctx, folder+"/"+extent, 0, size)
	return err
}

// diskPath is the datastore path of a machine's disk.
func (s *session) diskPath(ctx context.Context, vm types.ManagedObjectReference, name string) (string, error) {
	devices, err := s.devices(ctx, vm)
	if err != nil {
		return "", err
	}
	path := fileOf(deviceNamed(devices, name))
	if path == "" {
		return "", fmt.Errorf("disk %s: %w", name, drivers.ErrNotFound)
	}
	return path, nil
}

// extentOf reads the description of a disk in the host's own form: the file with
// its content, which lies beside it, and how large it is.
func (s *session) extentOf(ctx context.Context, name string) (extent string, size int64, err error) {
	text, found, err := s.read(ctx, name)
	if err != nil {
		return "", 0, err
	}
	if !found {
		return "", 0, fmt.Errorf("description of the copy: %w", drivers.ErrNotFound)
	}
	descriptor, err := vmdk.ParseDescriptor(bytes.NewReader(text))
	if err != nil {
		return "", 0, fmt.Errorf("read description of the copy: %w", err)
	}
	if len(descriptor.Extent) != 1 {
		return "", 0, drivers.Unfit("the copy has %d extents, and one can be read", len(descriptor.Extent))
	}
	return descriptor.Extent[0].Info, descriptor.Capacity(), nil
}

// discardCopy removes the copy.
func (s *session) discardCopy(ctx context.Context, id fleet.InstanceID) error {
	return s.removeFolder(ctx, readFolder(id))
}

// Read implements io.Reader. An extent that is shorter than the disk is one that
// was cut off.
func (c *copiedDisk) Read(p []byte) (int, error) {
	n, err := c.part.Read(p)
	c.left -= int64(n)
	if errors.Is(err, io.EOF) && c.left > 0 {
		err = fmt.Errorf("%w: the disk ended %d bytes early", drivers.ErrUnavailable, c.left)
	}
	return n, err
}

// Close removes the copy.
func (c *copiedDisk) Close() error {
	defer c.done()
	closed := c.part.body.Close()
	undoing, cancel := steady(c.ctx)
	defer cancel()
	return errors.Join(closed, c.d.do(undoing, fmt.Sprintf("remove the copy of a disk of machine %s", c.id), func(ctx context.Context, s *session) error {
		return s.discardCopy(ctx, c.id)
	}))
}
