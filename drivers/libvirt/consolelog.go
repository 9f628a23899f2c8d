package libvirt

import (
	"context"
	"fmt"
	"io"
	"strconv"

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
func (d *Driver) ConsoleLog(ctx context.Context, id fleet.InstanceID, part fleet.LogRange) (io.ReadCloser, error) {
	r, err := d.consoleLog(ctx, id, part)
	if err != nil {
		return nil, fmt.Errorf("read console log of machine %s: %w", id, err)
	}
	return r, nil
}

func (d *Driver) consoleLog(ctx context.Context, id fleet.InstanceID, part fleet.LogRange) (io.ReadCloser, error) {
	if _, err := d.lookup(ctx, id); err != nil {
		return nil, err
	}
	pool, err := d.storage.Find(ctx)
	if err != nil {
		return nil, err
	}
	parts, err := recorded(ctx, pool, id)
	if err != nil {
		return nil, err
	}
	if len(parts) == 0 {
		return nil, fmt.Errorf("%w: its console is not recorded; those of machines that Grapevine built are", drivers.ErrUnsupported)
	}
	r := &logReader{ctx: ctx, d: d, pool: pool, id: id, follow: part.Follow, parts: parts}
	r.begin(part)
	return r, nil
}

// recorded returns the parts of a log, oldest first. Only a look through the
// pool shows those that were moved aside since the last one.
func recorded(ctx context.Context, pool *storage.Pool, id fleet.InstanceID) ([]storage.Dated, error) {
	if err := pool.Refresh(ctx); err != nil {
		return nil, err
	}
	var parts []storage.Dated
	for _, name := range consoleParts(id) {
		part, err := pool.Dated(ctx, name)
		switch {
		case session.Unanswered(err):
			return nil, err
		case err == nil:
			parts = append(parts, part)
		}
	}
	return parts, nil
}
