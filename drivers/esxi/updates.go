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

// updates hands what spec selects to got, and then each change of it as the
// host tells of it, until got is done or fails. The first sets are the state as
// it is; after one that is not truncated changes can no longer be missed.
//
// What the host keeps for it ends with the login (isLostCollector); the caller
// begins anew.
func (s *session) updates(ctx context.Context, spec types.PropertyFilterSpec, got func(*types.UpdateSet) (done bool, err error)) error {
	collector, err := s.properties().Create(ctx)
	if err != nil {
		return fmt.Errorf("create collector: %w", err)
	}
	defer dismiss(ctx, collector)
	if _, err := collector.CreateFilter(ctx, types.CreateFilter{Spec: spec}); err != nil {
		return fmt.Errorf("create filter: %w", err)
	}
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
		if done, err := got(set); done || err != nil {
			return err
		}
	}
}

// dismiss tells the host that nobody waits any more, if it hears it.
func dismiss(ctx context.Context, collector *property.Collector) {
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if ctx.Err() != nil {
		_ = collector.CancelWaitForUpdates(ending)
	}
	_ = collector.Destroy(ending)
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

// objects are the changed objects in a set of updates.
func objects(set *types.UpdateSet) []types.ObjectUpdate {
	var all []types.ObjectUpdate
	for _, filter := range set.FilterSet {
		all = append(all, filter.ObjectSet...)
	}
	return all
}

// one selects one object and of it the given properties.
func one(object types.ManagedObjectReference, paths ...string) types.PropertyFilterSpec {
	return types.PropertyFilterSpec{
		ObjectSet: []types.ObjectSpec{{Obj: object}},
		PropSet:   []types.PropertySpec{{Type: object.Type, PathSet: paths}},
	}
}
