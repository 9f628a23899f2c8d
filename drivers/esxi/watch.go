package esxi

import (
	"context"
	"fmt"
	"time"

	"github.com/vmware/govmomi/property"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/types"

	"grapevine/drivers"
)

// The host answers a wait for updates at the latest after waitSeconds, with
// nothing if nothing happened; a host that stays silent for silence is gone.
const (
	waitSeconds = 10
	silence     = 3 * waitSeconds * time.Second
)

// watchedPaths are the properties whose change is a change of the machine.
func watchedPaths() []string {
	return []string{
		"name", pathUUID, "config.hardware.numCPU", "config.hardware.memoryMB", pathPower, pathConnection,
		"guest.ipAddress", pathMark, pathGeneration,
	}
}

// Watch implements drivers.Driver, with the host's property collector: the
// host tells of changes, nothing is polled.
func (d *Driver) Watch(ctx context.Context, changed func(drivers.Event)) error {
	return d.do(ctx, "watch machines", func(ctx context.Context, s *session) error {
		err := d.watch(ctx, s, changed)
		if ctx.Err() == nil && !isNotAuthenticated(err) {
			// Collector and filter end with their session, in several words.
			return fmt.Errorf("%w: %w", drivers.ErrUnavailable, err)
		}
		return err
	})
}

func (d *Driver) watch(ctx context.Context, s *session, changed func(drivers.Event)) error {
	collector, err := s.properties().Create(ctx)
	if err != nil {
		return fmt.Errorf("create collector: %w", err)
	}
	defer func() {
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		_ = collector.CancelWaitForUpdates(ending)
		_ = collector.Destroy(ending)
	}()
	if _, err := collector.CreateFilter(ctx, types.CreateFilter{Spec: s.machineSpec(watchedPaths())}); err != nil {
		return fmt.Errorf("create filter: %w", err)
	}
	return d.follow(ctx, s, collector, changed)
}

// follow waits for updates, one after the other. The first ones are the state
// as it is; after them changes can no longer be missed.
func (d *Driver) follow(ctx context.Context, s *session, collector *property.Collector, changed func(drivers.Event)) error {
	began := false
	req := types.WaitForUpdatesEx{
		This:    collector.Reference(),
		Options: &types.WaitOptions{MaxWaitSeconds: types.NewInt32(waitSeconds)},
	}
	for {
		set, err := s.waitForUpdates(ctx, &req)
		if err != nil {
			return err
		}
		if set == nil {
			continue // nothing happened
		}
		req.Version = set.Version
		for _, filter := range set.FilterSet {
			for _, update := range filter.ObjectSet {
				if e := d.event(update); began {
					changed(e)
				}
			}
		}
		if !began && (set.Truncated == nil || !*set.Truncated) {
			began = true
			changed(drivers.Event{})
		}
	}
}

func (s *session) waitForUpdates(ctx context.Context, req *types.WaitForUpdatesEx) (*types.UpdateSet, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, silence, fmt.Errorf("%w: no word for %s", drivers.ErrUnavailable, silence))
	defer cancel()
	res, err := methods.WaitForUpdatesEx(ctx, s.client, req)
	if err != nil {
		return nil, ended(ctx, fmt.Errorf("wait for updates: %w", err))
	}
	return res.Returnval, nil
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
