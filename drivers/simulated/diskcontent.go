package simulated

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"

	"grapevine/drivers"
	"grapevine/fleet"
)

var _ drivers.DiskReader = (*Driver)(nil)

// diskContent is what a simulated disk holds. No code runs in the machine, so
// that it is what the disk began with, the file of an image or nothing, and what
// WriteDisk has put over it.
type diskContent struct {
	Begin  *fleet.ImageFile `json:"begin,omitempty"`
	Writes []diskWrite      `json:"writes,omitempty"`
}

type diskWrite struct {
	Offset int64  `json:"offset"`
	Data   []byte `json:"data"`
}

// format is that of the file which the disk is read out as.
func (c *diskContent) format() string {
	switch {
	case c.Begin != nil:
		return c.Begin.Format
	case len(c.Writes) > 0:
		return fleet.FormatRaw
	default:
		return fleet.FormatQCOW2 // an empty disk in few bytes
	}
}

// contentsOf are what the disks of a new machine begin with. The caller holds
// the lock.
func (h *Hypervisor) contentsOf(spec *drivers.Spec) (map[string]diskContent, error) {
	contents := map[string]diskContent{}
	if f, ok := storedDisk(h.images[spec.Image.ID]); ok {
		contents[drivers.DiskName(0)] = diskContent{Begin: &f}
	}
	for n := range spec.Origins {
		o := spec.Origin(n)
		if o.IsZero() {
			continue
		}
		c, err := h.copyOf(o)
		if err != nil {
			return nil, err
		}
		contents[drivers.DiskName(n)] = c
	}
	return contents, nil
}

func storedDisk(im fleet.Image) (fleet.ImageFile, bool) { return im.StoredFile(fleet.RoleDisk) }

// copyOf is the content of a disk to copy.
func (h *Hypervisor) copyOf(o *drivers.Origin) (diskContent, error) {
	if o.Machine.IsZero() {
		f, ok := storedDisk(h.images[o.Image.ID])
		if !ok {
			return diskContent{}, fmt.Errorf("disk of image %.12s: %w", o.Image.ID, drivers.ErrNotFound)
		}
		return diskContent{Begin: &f}, nil
	}
	m, ok := h.machines[o.Machine]
	if !ok {
		return diskContent{}, fmt.Errorf("machine %s: %w", o.Machine, drivers.ErrNotFound)
	}
	view := m.view()
	if err := drivers.Readable(&view); err != nil {
		return diskContent{}, err
	}
	if m.device(o.Disk) < 0 {
		return diskContent{}, fmt.Errorf("%s of machine %s: %w", o.Disk, o.Machine, drivers.ErrNotFound)
	}
	return m.Contents[o.Disk], nil
}

// Firmware implements drivers.DiskReader.
func (d *Driver) Firmware(ctx context.Context, id fleet.InstanceID) (fleet.Firmware, error) {
	_, done, err := d.begin(ctx)
	if err != nil {
		return "", fmt.Errorf("read firmware of machine %s: %w", id, err)
	}
	defer done()
	d.h.mu.Lock()
	defer d.h.mu.Unlock()
	m, ok := d.h.machines[id]
	if !ok {
		return "", fmt.Errorf("read firmware of machine %s: %w", id, drivers.ErrNotFound)
	}
	if m.Firmware == fleet.BIOS {
		return "", nil
	}
	return m.Firmware, nil
}

// WriteDisk writes to a disk of a stopped machine, as its guest would. Only raw
// disks take it: a simulated host understands no other format.
func (h *Hypervisor) WriteDisk(id fleet.InstanceID, disk string, offset int64, data []byte) error {
	return h.change(id, func(m *machine) error {
		c := m.Contents[disk]
		switch {
		case m.device(disk) < 0:
			return drivers.ErrNotFound
		case c.Begin != nil && c.Begin.Format != fleet.FormatRaw:
			return drivers.Unfit("the disk began as %s", c.Begin.Format)
		}
		c.Writes = append(slices.Clip(c.Writes), diskWrite{offset, slices.Clone(data)})
		m.setContent(disk, c)
		return nil
	})
}

// setContent replaces the content of one disk, in a map that is the machine's
// alone.
func (m *machine) setContent(disk string, c diskContent) {
	contents := map[string]diskContent{disk: c}
	for name, held := range m.Contents {
		if name != disk {
			contents[name] = held
		}
	}
	m.Contents = contents
}

// ReadDisk implements drivers.DiskReader.
func (d *Driver) ReadDisk(ctx context.Context, id fleet.InstanceID, disk string) (*drivers.DiskContent, error) {
	c, done, err := d.begin(ctx)
	if err != nil {
		return nil, fmt.Errorf("read %s of machine %s: %w", disk, id, err)
	}
	content, err := d.h.readDisk(id, disk)
	if err != nil {
		done()
		return nil, fmt.Errorf("read %s of machine %s: %w", disk, id, err)
	}
	ended, under := sync.OnceFunc(done), content.ReadCloser
	content.ReadCloser = &part{&callReader{ctx, c, under}, func() error { defer ended(); return under.Close() }}
	return content, nil
}

func (h *Hypervisor) readDisk(id fleet.InstanceID, disk string) (*drivers.DiskContent, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	m, ok := h.machines[id]
	if !ok {
		return nil, drivers.ErrNotFound
	}
	view := m.view()
	if err := drivers.Readable(&view); err != nil {
		return nil, err
	}
	i := m.device(disk)
	if i < 0 || m.Devices[i].Kind != fleet.DeviceDisk {
		return nil, drivers.ErrNotFound
	}
	if h.full {
		return nil, drivers.ErrOutOfSpace // as on a host that has to make a copy for it
	}
	content := m.Contents[disk]
	patched := &patchedFile{writes: content.Writes}
	if content.format() == fleet.FormatQCOW2 && content.Begin == nil {
		empty := emptyQCOW2(m.Devices[i].SizeGiB << 30)
		patched.writes, patched.size = []diskWrite{{0, empty}}, int64(len(empty))
	}
	if f := content.Begin; f != nil {
		var err error
		if patched.begin, patched.close, err = h.openFile(*f); err != nil {
			return nil, err
		}
		patched.size = f.Bytes
	}
	for _, w := range content.Writes {
		patched.size = max(patched.size, w.Offset+int64(len(w.Data)))
	}
	r := &part{io.NewSectionReader(patched, 0, patched.size), patched.Close}
	return &drivers.DiskContent{ReadCloser: r, Format: content.format(), Bytes: patched.size}, nil
}

// patchedFile is a file with what was written over it.
type patchedFile struct {
	begin  io.ReaderAt // nil for none
	close  func() error
	writes []diskWrite
	size   int64
}

// ReadAt implements io.ReaderAt, within the size.
func (f *patchedFile) ReadAt(p []byte, at int64) (int, error) {
	clear(p)
	if f.begin != nil {
		if _, err := f.begin.ReadAt(p, at); err != nil && !errors.Is(err, io.EOF) {
			return 0, err
		}
	}
	for _, w := range f.writes {
		if skip := w.Offset - at; skip >= 0 && skip < int64(len(p)) {
			copy(p[skip:], w.Data)
		} else if skip < 0 && -skip < int64(len(w.Data)) {
			copy(p, w.Data[-skip:])
		}
	}
	return len(p), nil
}

// Close implements io.Closer.
func (f *patchedFile) Close() error {
	if f.close == nil {
		return nil
	}
	return f.close()
}

// openFile opens the content of an image's file. The caller holds the lock.
func (h *Hypervisor) openFile(f fleet.ImageFile) (io.ReaderAt, func() error, error) {
	if h.store == nil {
		return shared.file(f)
	}
	file, err := os.Open(h.store.contentPath(f))
	if errors.Is(err, os.ErrNotExist) {
		err = drivers.ErrNotFound
	}
	if err != nil {
		return nil, nil, err
	}
	return file, file.Close, nil
}

// hold keeps the files that a new machine's disks begin as. The caller holds the
// lock.
func (h *Hypervisor) hold(m *machine) error {
	for _, c := range m.Contents {
		if c.Begin == nil {
			continue
		}
		if err := h.holdFile(m, *c.Begin); err != nil {
			return err
		}
	}
	return nil
}

// holdFile keeps one file for a machine, in a list that is the machine's alone.
func (h *Hypervisor) holdFile(m *machine, f fleet.ImageFile) error {
	if h.store == nil {
		if _, _, err := shared.file(f); err != nil {
			return err
		}
	}
	m.Began = append(slices.Clip(m.Began), f)
	return nil
}

// letGo is the end of hold.
func (h *Hypervisor) letGo(m *machine) error { return h.dropContents(m.Began) }
