package simulated

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"grapevine/drivers"
	"grapevine/fleet"
)

var _ drivers.ImageReader = (*Driver)(nil)

// contents is the files of images. Those of hypervisors in memory lie in
// unnamed temporary files, each content once however many hosts of the process
// hold it: a fleet of a hundred simulated hosts keeps one copy.
type contents struct {
	mu   sync.Mutex
	held map[string]*content // by digest
}

type content struct {
	file *os.File
	refs int
}

var shared = contents{held: map[string]*content{}}

// keep stores content under its digest, which the reader has verified when it
// ends without error, and counts one holder more.
func (c *contents) keep(f fleet.ImageFile, r io.Reader) error {
	file, err := os.CreateTemp("", "grapevine-simulated-*")
	if err != nil {
		return err
	}
	if err := errors.Join(os.Remove(file.Name()), copyTo(file, r)); err != nil {
		return errors.Join(err, file.Close())
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if held := c.held[f.SHA256]; held != nil {
		held.refs++
		return file.Close()
	}
	c.held[f.SHA256] = &content{file, 1}
	return nil
}

func copyTo(file *os.File, r io.Reader) error {
	_, err := io.Copy(file, r)
	return err
}

// drop takes one holder away, and the content with the last.
func (c *contents) drop(f fleet.ImageFile) {
	c.mu.Lock()
	defer c.mu.Unlock()
	held := c.held[f.SHA256]
	if held == nil {
		return
	}
	if held.refs--; held.refs == 0 {
		delete(c.held, f.SHA256)
		_ = held.file.Close() // it has no name: nothing of it is left
	}
}

// file returns a content, which stays readable until done is called.
func (c *contents) file(f fleet.ImageFile) (file io.ReaderAt, done func() error, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	held := c.held[f.SHA256]
	if held == nil {
		return nil, nil, drivers.ErrNotFound
	}
	held.refs++
	return held.file, func() error { c.drop(f); return nil }, nil
}

type part struct {
	io.Reader
	close func() error
}

// Close implements io.Closer.
func (p *part) Close() error { return p.close() }

// contentPath is where a store keeps an image's file.
func (s *store) contentPath(f fleet.ImageFile) string {
	return filepath.Join(s.dir, contentsDir, f.SHA256)
}

// keepContent stores one file of an image.
func (h *Hypervisor) keepContent(f fleet.ImageFile, r io.Reader) error {
	if h.store == nil {
		return shared.keep(f, r)
	}
	file, err := os.CreateTemp(filepath.Join(h.store.dir, contentsDir), "*.new")
	if err != nil {
		return err
	}
	if err := errors.Join(copyTo(file, r), file.Close()); err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	return os.Rename(file.Name(), h.store.contentPath(f))
}

// dropContents forgets files of an image. In a store they stay where another
// image has the same file.
func (h *Hypervisor) dropContents(files []fleet.ImageFile) error {
	var errs []error
	for _, f := range files {
		switch {
		case h.store == nil:
			shared.drop(f)
		case !h.needs(f):
			if err := os.Remove(h.store.contentPath(f)); !errors.Is(err, fs.ErrNotExist) {
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}

// needs reports whether an image has this file, or a disk began as it.
func (h *Hypervisor) needs(f fleet.ImageFile) bool {
	for _, m := range h.machines {
		for _, other := range m.Began {
			if other.SHA256 == f.SHA256 {
				return true
			}
		}
	}
	for _, im := range h.images {
		for _, other := range im.StoredFiles() {
			if other.SHA256 == f.SHA256 {
				return true
			}
		}
	}
	return false
}

// ReadImage implements drivers.ImageReader.
func (d *Driver) ReadImage(ctx context.Context, id string, role fleet.ImageRole, offset, length int64) (io.ReadCloser, error) {
	c, done, err := d.begin(ctx)
	if err != nil {
		return nil, fmt.Errorf("read image %.12s: %w", id, err)
	}
	r, err := d.openContent(id, role, offset, length)
	if err != nil {
		done()
		return nil, fmt.Errorf("read %s of image %.12s: %w", role, id, err)
	}
	ended := sync.OnceFunc(done)
	return &part{&callReader{ctx, c, r}, func() error { defer ended(); return r.Close() }}, nil
}

func (d *Driver) openContent(id string, role fleet.ImageRole, offset, length int64) (io.ReadCloser, error) {
	d.h.mu.Lock()
	defer d.h.mu.Unlock()
	im := d.h.images[id]
	f, ok := im.File(role)
	if !ok || im.Stored != nil {
		return nil, drivers.ErrNotFound
	}
	file, done, err := d.h.openFile(f)
	if err != nil {
		return nil, err
	}
	return &part{io.NewSectionReader(file, offset, length), done}, nil
}
