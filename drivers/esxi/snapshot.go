package esxi

import (
	"context"
	"fmt"
	"slices"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

	"grapevine/drivers"
	"grapevine/fleet"
)

var _ drivers.Snapshotter = (*Driver)(nil)

// past is a snapshot as the host has it.
type past struct {
	fleet.Snapshot
	ref types.ManagedObjectReference
}

// Snapshots implements drivers.Snapshotter.
func (d *Driver) Snapshots(ctx context.Context, id fleet.InstanceID) ([]fleet.Snapshot, error) {
	var list []fleet.Snapshot
	err := d.do(ctx, fmt.Sprintf("list snapshots of machine %s", id), func(ctx context.Context, s *session) error {
		m, err := d.find(ctx, s, id)
		if err != nil {
			return err
		}
		pasts, err := s.pasts(ctx, m.ref)
		if err != nil {
			return err
		}
		list, err = s.measured(ctx, pasts)
		return err
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}

// TakeSnapshot implements drivers.Snapshotter. The guest is not asked to come
// to rest: its memory is kept with its disks.
func (d *Driver) TakeSnapshot(ctx context.Context, id fleet.InstanceID, name string) error {
	return d.do(ctx, fmt.Sprintf("take snapshot %q of machine %s", name, id), func(ctx context.Context, s *session) error {
		m, err := d.managed(ctx, s, id)
		if err != nil {
			return err
		}
		pasts, err := s.pasts(ctx, m.ref)
		if err != nil || len(named(pasts, name)) > 0 {
			return err
		}
		memory := m.Power == fleet.PowerRunning
		task, err := object.NewVirtualMachine(s.client, m.ref).CreateSnapshot(ctx, name, "", memory, false)
		return s.wait(ctx, task, err)
	})
}

// RevertSnapshot implements drivers.Snapshotter.
func (d *Driver) RevertSnapshot(ctx context.Context, id fleet.InstanceID, name string, mark drivers.Mark) error {
	return d.do(ctx, fmt.Sprintf("revert machine %s to snapshot %q", id, name), func(ctx context.Context, s *session) error {
		m, err := d.find(ctx, s, id)
		if err != nil {
			return err
		}
		p, err := s.past(ctx, m.ref, name)
		if err != nil {
			return err
		}
		res, err := methods.RevertToSnapshot_Task(ctx, s.client, &types.RevertToSnapshot_Task{This: p.ref})
		if err != nil {
			return err
		}
		if err := s.wait(ctx, object.NewTask(s.client, res.Returnval), nil); err != nil {
			return err
		}
		if err := s.write(ctx, m.ref, mark); err != nil {
			return err
		}
		return d.bring(ctx, s, id, p.Power)
	})
}

// bring makes sure of the power that a snapshot was taken in. The host does so
// by itself where the snapshot has the memory; not where somebody took it
// without.
func (d *Driver) bring(ctx context.Context, s *session, id fleet.InstanceID, want fleet.Power) error {
	m, err := d.find(ctx, s, id)
	if err != nil || m.Power == want {
		return err
	}
	vm := object.NewVirtualMachine(s.client, m.ref)
	var task *object.Task
	switch want {
	case fleet.PowerRunning:
		task, err = vm.PowerOn(ctx)
	case fleet.PowerStopped:
		task, err = vm.PowerOff(ctx)
	default:
		return nil
	}
	return d.settle(ctx, s, id, want, s.wait(ctx, task, err))
}

// DeleteSnapshot implements drivers.Snapshotter.
func (d *Driver) DeleteSnapshot(ctx context.Context, id fleet.InstanceID, name string) error {
	return d.do(ctx, fmt.Sprintf("delete snapshot %q of machine %s", name, id), func(ctx context.Context, s *session) error {
		m, err := d.managed(ctx, s, id)
		if err != nil {
			return err
		}
		p, err := s.past(ctx, m.ref, name)
		if err != nil {
			return gone(err)
		}
		res, err := methods.RemoveSnapshot_Task(ctx, s.client, &types.RemoveSnapshot_Task{This: p.ref, Consolidate: new(true)})
		if err != nil {
			return err
		}
		return s.wait(ctx, object.NewTask(s.client, res.Returnval), nil)
	})
}

// past returns the machine's one snapshot of this name, or ErrNotFound. The
// host itself lets several have one name.
func (s *session) past(ctx context.Context, vm types.ManagedObjectReference, name string) (past, error) {
	all, err := s.pasts(ctx, vm)
	if err != nil {
		return past{}, err
	}
	switch found := named(all, name); len(found) {
	case 1:
		return found[0], nil
	case 0:
		return past{}, fmt.Errorf("%w: no snapshot %q", drivers.ErrNotFound, name)
	default:
		return past{}, fmt.Errorf("%d snapshots of the machine are named %q; rename all but one at the host", len(found), name)
	}
}

func named(pasts []past, name string) []past {
	return slices.DeleteFunc(slices.Clone(pasts), func(p past) bool { return p.Name != name })
}

// pasts reads a machine's snapshots, oldest first.
func (s *session) pasts(ctx context.Context, vm types.ManagedObjectReference) ([]past, error) {
	var m mo.VirtualMachine
	if err := s.properties().RetrieveOne(ctx, vm, []string{"snapshot"}, &m); err != nil {
		return nil, fmt.Errorf("read snapshots: %w", err)
	}
	if m.Snapshot == nil {
		return nil, nil
	}
	list := flatten(nil, m.Snapshot.RootSnapshotList, "", m.Snapshot.CurrentSnapshot)
	slices.SortStableFunc(list, func(a, b past) int { return a.CreatedAt.Compare(b.CreatedAt) })
	return list, nil
}

// measured reads what the machine had when each snapshot was taken. One that is
// removed meanwhile is left out.
func (s *session) measured(ctx context.Context, pasts []past) ([]fleet.Snapshot, error) {
	if len(pasts) == 0 {
		return nil, nil
	}
	refs := make([]types.ManagedObjectReference, len(pasts))
	for i := range pasts {
		refs[i] = pasts[i].ref
	}
	var held []mo.VirtualMachineSnapshot
	if err := s.properties().Retrieve(ctx, refs, []string{"config"}, &held); err != nil {
		return nil, fmt.Errorf("read the sizes of snapshots: %w", err)
	}
	var list []fleet.Snapshot
	for _, p := range pasts {
		i := slices.IndexFunc(held, func(h mo.VirtualMachineSnapshot) bool { return h.Self == p.ref })
		if i < 0 {
			continue
		}
		h := &held[i].Config.Hardware
		p.Resources = fleet.Resources{VCPUs: int64(h.NumCPU), MemoryMiB: int64(h.MemoryMB), DiskGiB: diskGiB(h.Device)}
		list = append(list, p.Snapshot)
	}
	return list, nil
}

func flatten(list []past, tree []types.VirtualMachineSnapshotTree, parent string, current *types.ManagedObjectReference) []past {
	for i := range tree {
		t := &tree[i]
		list = append(list, past{ref: t.Snapshot, Snapshot: fleet.Snapshot{
			Name: t.Name, CreatedAt: t.CreateTime, Power: powerOf(t.State), Parent: parent,
			Current: current != nil && *current == t.Snapshot,
		}})
		list = flatten(list, t.ChildSnapshotList, t.Name, current)
	}
	return list
}
