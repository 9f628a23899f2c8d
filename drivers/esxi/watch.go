package esxi

import (
	"context"
	"fmt"

	"github.com/vmware/govmomi/vim25/types"

	"grapevine/drivers"
)

// watchedPaths are the properties whose change is a change of the machine.
func watchedPaths() []string {
	return []string{
		"name", pathUUID, "config.hardware.numCPU", "config.hardware.memoryMB", pathPower, pathConnection,
		"guest.ipAddress", pathMark, pathGeneration,
	}
}

// Watch implements drivers.Driver, with the host's property collector: the
// host tells of changes, nothing is polled. It begins anew after a lost login,
// with the zero Event for what it may have missed.
func (d *Driver) Watch(ctx context.Context, changed func(drivers.Event)) error {
	return d.do(ctx, "watch machines", func(ctx context.Context, s *session) error {
		for {
			err := d.watch(ctx, s, changed)
			if isLostCollector(err) && ctx.Err() == nil {
				continue
			}
			return fmt.Errorf("%w: %w", drivers.ErrUnavailable, err)
		}
	})
}

func (d *Driver) watch(ctx context.Context, s *session, changed func(drivers.Event)) error {
	began := false
	return s.updates(ctx, s.machineSpec(watchedPaths()), func(set *types.UpdateSet) (bool, error) {
		for _, update := range objects(set) {
			if e := d.event(update); began {
				changed(e)
			}
		}
		if !began && (set.Truncated == nil || !*set.Truncated) {
			began = true
			changed(drivers.Event{})
		}
		return false, nil
	})
}

// event names the machine that an update is about.
func (d *Driver) event(update types.ObjectUpdate) drivers.Event {
	if update.Kind != types.ObjectUpdateKindLeave {
		for _, change := range update.ChangeSet {
			if uuid, ok := change.Val.(string); ok && change.Name == pathUUID {
				return drivers.Event{ID: d.identify(update.Obj, uuid)}
			}
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	id := d.names[update.Obj.Value] // unknown: the zero id, any machine
	if update.Kind == types.ObjectUpdateKindLeave {
		delete(d.names, update.Obj.Value)
	}
	return drivers.Event{ID: id}
}
