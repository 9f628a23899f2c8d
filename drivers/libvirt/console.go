package libvirt

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"

	golibvirt "github.com/digitalocean/go-libvirt"

	"grapevine/drivers"
	"grapevine/drivers/libvirt/session"
	"grapevine/drivers/libvirt/storage"
	"grapevine/fleet"
)

// maxRotated is how many older parts of a log virtlogd keeps, beside the
// current one, as its configuration comes (max_backups = 3).
const maxRotated = 3

// consoleParts are the volumes that a console log may consist of, oldest part
// first. virtlogd moves a log that has grown past its max_size aside as .0,
// and what was there as .1.
func consoleParts(id fleet.InstanceID) []string {
	parts := make([]string, 0, maxRotated+1)
	for i := maxRotated - 1; i >= 0; i-- {
		parts = append(parts, consoleName(id)+"."+strconv.Itoa(i))
	}
	return append(parts, consoleName(id))
}

// ConsoleLog implements drivers.ConsoleLogger. What virtlogd has thrown away
// is not counted in offsets.
func (d *Driver) ConsoleLog(ctx context.Context, id fleet.InstanceID, offset int64) (io.ReadCloser, error) {
	r, err := d.consoleLog(ctx, id, max(offset, 0))
	if err != nil {
		return nil, fmt.Errorf("read console log of machine %s: %w", id, err)
	}
	return r, nil
}

func (d *Driver) consoleLog(ctx context.Context, id fleet.InstanceID, offset int64) (io.ReadCloser, error) {
	if _, err := d.lookup(ctx, id); err != nil {
		return nil, err
	}
	pool, err := d.storage.Find(ctx)
	if err != nil {
		return nil, err
	}
	parts, size, err := d.recorded(ctx, pool, id)
	if err != nil {
		return nil, err
	}
	if offset == 0 || offset > size {
		// Only a look through the pool shows parts that were moved aside since.
		if err := pool.Refresh(ctx); err != nil {
			return nil, err
		}
		if parts, _, err = d.recorded(ctx, pool, id); err != nil {
			return nil, err
		}
	}
	if len(parts) == 0 {
		return nil, fmt.Errorf("%w: its console is not recorded; those of machines that Grapevine built are", drivers.ErrUnsupported)
	}
	for len(parts) > 1 && offset >= parts[0].size {
		offset -= parts[0].size
		parts = parts[1:]
	}
	return &consoleReader{ctx: ctx, d: d, parts: parts, offset: offset}, nil
}

// part is one volume of a log.
type part struct {
	vol  golibvirt.StorageVol
	size int64
}

// recorded returns the parts that libvirt knows of, and their size in all.
func (d *Driver) recorded(ctx context.Context, pool *storage.Pool, id fleet.InstanceID) (parts []part, total int64, err error) {
	for _, name := range consoleParts(id) {
		vol, size, err := pool.Sized(ctx, name)
		switch {
		case session.Unanswered(err):
			return nil, 0, err
		case err == nil:
			parts = append(parts, part{vol, size})
			total += size
		}
	}
	return parts, total, nil
}

// consoleReader reads the parts one after the other.
type consoleReader struct {
	ctx    context.Context
	d      *Driver
	parts  []part
	offset int64 // in the first part
	open   io.ReadCloser
}

func (r *consoleReader) Read(p []byte) (int, error) {
	for {
		if r.open == nil {
			if len(r.parts) == 0 {
				return 0, io.EOF
			}
			open, err := r.d.session.Download(r.ctx, r.parts[0].vol, r.offset, 0)
			if err != nil {
				return 0, err
			}
			r.open, r.parts, r.offset = open, r.parts[1:], 0
		}
		n, err := r.open.Read(p)
		if !errors.Is(err, io.EOF) {
			return n, err
		}
		if err := r.Close(); err != nil || n > 0 {
			return n, err
		}
	}
}

// Close ends the transfer under way.
func (r *consoleReader) Close() error {
	if r.open == nil {
		return nil
	}
	err := r.open.Close()
	r.open = nil
	return err
}
