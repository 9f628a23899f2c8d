package esxi

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/vmware/govmomi/property"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/types"

	"grapevine/drivers"
)

// pictureAge is how long a picture is kept up to date by changes alone. Then
// all is read again, should the host have kept one to itself.
const pictureAge = time.Minute

// picture is what the host said of its machines. Before each listing the host
// is asked what has changed since: the answer is as fresh as a full read, and
// on a host where little happens next to nothing.
type picture struct {
	turn      chan struct{}       // held by the one who brings it up to date
	collector *property.Collector // of the login; nil while there is no picture
	version   string
	began     time.Time
	machines  map[types.ManagedObjectReference]found
}

func newPicture() *picture { return &picture{turn: make(chan struct{}, 1)} }

// listed returns all machines as the host says they are now, in no order.
func (d *Driver) listed(ctx context.Context, s *session) ([]found, error) {
	p := s.picture
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	err := d.update(ctx, s, p)
	if isLostCollector(err) { // with the login that it was made for
		p.collector = nil
		err = d.update(ctx, s, p)
	}
	if err != nil {
		p.drop(ctx)
		return nil, fmt.Errorf("read machines: %w", err)
	}
	list := make([]found, 0, len(p.machines))
	for _, m := range p.machines {
		m.Mark, m.Addresses = m.Mark.Clone(), slices.Clone(m.Addresses)
		list = append(list, m)
	}
	return list, nil
}

// drop forgets the picture.
func (p *picture) drop(ctx context.Context) {
	if p.collector != nil {
		dismiss(ctx, p.collector)
		p.collector = nil
	}
}

// update brings the picture up to date, or begins another.
func (d *Driver) update(ctx context.Context, s *session, p *picture) error {
	if p.collector != nil && time.Since(p.began) > pictureAge {
		p.drop(ctx)
	}
	if p.collector == nil {
		if err := p.begin(ctx, s); err != nil {
			return err
		}
	}
	changed := map[types.ManagedObjectReference]bool{}
	for more := true; more; {
		res, err := methods.WaitForUpdatesEx(ctx, s.client, &types.WaitForUpdatesEx{
			This: p.collector.Reference(), Version: p.version,
			Options: &types.WaitOptions{MaxWaitSeconds: types.NewInt32(0)}, // what there is now
		})
		if err != nil {
			return err
		}
		set := res.Returnval
		if set == nil {
			break
		}
		p.version = set.Version
		for _, update := range objects(set) {
			p.take(d, update, changed)
		}
		more = set.Truncated != nil && *set.Truncated
	}
	return d.reread(ctx, s, p, changed)
}

func (p *picture) begin(ctx context.Context, s *session) error {
	collector, err := s.properties().Create(ctx)
	if err != nil {
		return fmt.Errorf("create collector: %w", err)
	}
	p.collector, p.version, p.began = collector, "", time.Now()
	p.machines = map[types.ManagedObjectReference]found{}
	if _, err := collector.CreateFilter(ctx, types.CreateFilter{Spec: s.machineSpec(machinePaths())}); err != nil {
		return fmt.Errorf("create filter: %w", err)
	}
	return nil
}

// take takes in a machine that is new, or gone. Of one that has changed it is
// only remembered that it has: a host may name a part of a property.
func (p *picture) take(d *Driver, update types.ObjectUpdate, changed map[types.ManagedObjectReference]bool) {
	switch update.Kind {
	case types.ObjectUpdateKindLeave:
		delete(p.machines, update.Obj)
		delete(changed, update.Obj)
	case types.ObjectUpdateKindModify:
		changed[update.Obj] = true
	default:
		set := make([]types.DynamicProperty, 0, len(update.ChangeSet))
		for _, c := range update.ChangeSet {
			set = append(set, types.DynamicProperty{Name: c.Name, Val: c.Val})
		}
		p.machines[update.Obj] = d.machine(update.Obj, set)
	}
}

// reread reads the machines that have changed.
func (d *Driver) reread(ctx context.Context, s *session, p *picture, changed map[types.ManagedObjectReference]bool) error {
	for ref := range maps.Keys(changed) {
		m, err := d.readOne(ctx, s, ref)
		switch {
		case errors.Is(classify(err), drivers.ErrNotFound):
			delete(p.machines, ref) // gone since
		case err != nil:
			return err
		default:
			p.machines[ref] = m
		}
	}
	return nil
}
