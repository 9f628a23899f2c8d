package libvirt

import (
	"context"
	"fmt"
	"io"
	"strconv"

	golibvirt "github.com/digitalocean/go-libvirt"

	"grapevine/drivers"
	"grapevine/drivers/libvirt/session"
	"grapevine/drivers/libvirt/storage"
	"grapevine/fleet"
)

// maxRotated is how many older parts of a log are kept beside the current one:
// by virtlogd, as its configuration comes (max_backups = 3), and on Xen by our
// logrotate's.
const maxRotated = 3

// Of the parts of a log that were moved aside, the newest has this number, and
// the others those after it.
const (
	byVirtlogd  = 0
	byLogrotate = 1
)

// logParts are the volumes that a log may consist of, oldest part first. A log
// that has grown past its bound is moved aside as .0, or .1, and what was there
// as the next one.
func logParts(name string, newest int) []string {
	parts := make([]string, 0, maxRotated+1)
	for i := newest + maxRotated - 1; i >= newest; i-- {
		parts = append(parts, name+"."+strconv.Itoa(i))
	}
	return append(parts, name)
}

// ConsoleLog implements drivers.ConsoleLogger. What was thrown away for the
// log's bound is not counted in offsets.
func (d *Driver) ConsoleLog(ctx context.Context, id fleet.InstanceID, part fleet.LogRange) (io.ReadCloser, error) {
	r, err := d.consoleLog(ctx, id, part)
	if err != nil {
		return nil, fmt.Errorf("read console log of machine %s: %w", id, err)
	}
	return r, nil
}

func (d *Driver) consoleLog(ctx context.Context, id fleet.InstanceID, part fleet.LogRange) (io.ReadCloser, error) {
	dom, err := d.lookup(ctx, id)
	if err != nil {
		return nil, err
	}
	place, err := d.flavour.console(ctx, d, dom)
	if err != nil {
		return nil, err
	}
	parts, err := place.recorded(ctx)
	if err != nil {
		return nil, err
	}
	if len(parts) == 0 {
		return nil, drivers.Unfit("its console is not recorded; those of machines that Grapevine built are")
	}
	r := &logReader{ctx: ctx, d: d, place: place, id: id, follow: part.Follow, parts: parts}
	r.begin(part)
	return r, nil
}

// consolePlace is where a machine's console is recorded: volumes, the oldest
// part first.
type consolePlace struct {
	pool  *storage.Pool
	names []string
	later bool // the hypervisor makes them when the machine first runs
}

// poolConsole is the log in our own pool, which Build makes.
func poolConsole(ctx context.Context, d *Driver, dom golibvirt.Domain) (consolePlace, error) {
	pool, err := d.storage.Find(ctx)
	return consolePlace{pool: pool, names: logParts(consoleName(fleet.InstanceID(dom.UUID)), d.flavour.rotated)}, err
}

// recorded returns the parts of a log, oldest first. Only a look through the
// pool shows those that were moved aside since the last one. A log that is made
// later is an empty one.
func (p consolePlace) recorded(ctx context.Context) ([]storage.Dated, error) {
	if err := p.pool.Refresh(ctx); err != nil {
		return nil, err
	}
	var parts []storage.Dated
	for _, name := range p.names {
		part, err := p.pool.Dated(ctx, name)
		switch {
		case session.Unanswered(err):
			return nil, err
		case err == nil:
			parts = append(parts, part)
		}
	}
	if len(parts) == 0 && p.later {
		parts = append(parts, storage.Dated{Vol: golibvirt.StorageVol{Name: p.names[len(p.names)-1]}})
	}
	return parts, nil
}
