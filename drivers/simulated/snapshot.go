package simulated

import (
	"context"
	"fmt"
	"slices"
	"time"

	"grapevine/drivers"
	"grapevine/fleet"
)

var _ drivers.Snapshotter = (*Driver)(nil)

// snapshot is a machine as it was.
type snapshot struct {
	Name      string          `json:"name"`
	Parent    string          `json:"parent,omitempty"`
	CreatedAt time.Time       `json:"created_at"`
	Power     fleet.Power     `json:"power"`
	Resources fleet.Resources `json:"resources"`
	Devices   []fleet.Device  `json:"devices,omitempty"`

	Contents map[string]diskContent `json:"contents,omitempty"`
}

// canSnapshot: libxl has no snapshots.
func (h *Hypervisor) canSnapshot() error {
	if h.config.Hypervisor == fleet.Xen {
		return drivers.ErrUnsupported
	}
	return nil
}

// Snapshots implements drivers.Snapshotter.
func (d *Driver) Snapshots(ctx context.Context, id fleet.InstanceID) ([]fleet.Snapshot, error) {
	var list []fleet.Snapshot
	err := d.snapshotting(ctx, func() error {
		d.h.mu.Lock()
		defer d.h.mu.Unlock()
		m, ok := d.h.machines[id]
		if !ok {
			return drivers.ErrNotFound
		}
		for _, s := range m.Snapshots {
			list = append(list, fleet.Snapshot{Name: s.Name, CreatedAt: s.CreatedAt, Power: s.Power, Parent: s.Parent, Current: s.Name == m.Current, Resources: s.Resources})
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list snapshots of machine %s: %w", id, err)
	}
	return list, nil
}

// TakeSnapshot implements drivers.Snapshotter.
func (d *Driver) TakeSnapshot(ctx context.Context, id fleet.InstanceID, name string) error {
	err := d.snapshotting(ctx, func() error {
		return d.h.changeManaged(id, func(m *machine) error {
			m.take(name, time.Now())
			return nil
		})
	})
	if err != nil {
		return fmt.Errorf("take snapshot %q of machine %s: %w", name, id, err)
	}
	return nil
}

// RevertSnapshot implements drivers.Snapshotter.
func (d *Driver) RevertSnapshot(ctx context.Context, id fleet.InstanceID, name string, mark drivers.Mark) error {
	err := d.snapshotting(ctx, func() error {
		return d.h.change(id, func(m *machine) error { return m.revert(name, mark) })
	})
	if err != nil {
		return fmt.Errorf("revert machine %s to snapshot %q: %w", id, name, err)
	}
	return nil
}

// DeleteSnapshot implements drivers.Snapshotter.
func (d *Driver) DeleteSnapshot(ctx context.Context, id fleet.InstanceID, name string) error {
	err := d.snapshotting(ctx, func() error {
		return d.h.changeManaged(id, func(m *machine) error {
			m.forget(name)
			return nil
		})
	})
	if err != nil {
		return fmt.Errorf("delete snapshot %q of machine %s: %w", name, id, err)
	}
	return nil
}

// snapshotting does something within one call, where there are snapshots.
func (d *Driver) snapshotting(ctx context.Context, do func() error) error {
	_, done, err := d.begin(ctx)
	if err != nil {
		return err
	}
	defer done()
	if err := d.h.canSnapshot(); err != nil {
		return err
	}
	return do()
}

// changeManaged is change for machines that carry a mark.
func (h *Hypervisor) changeManaged(id fleet.InstanceID, fn func(*machine) error) error {
	return h.change(id, func(m *machine) error {
		if m.Mark == nil {
			return drivers.ErrForeign
		}
		return fn(m)
	})
}

func (m *machine) find(name string) int {
	return slices.IndexFunc(m.Snapshots, func(s snapshot) bool { return s.Name == name })
}

func (m *machine) take(name string, now time.Time) {
	if m.find(name) >= 0 {
		return
	}
	m.Snapshots = append(slices.Clip(m.Snapshots), snapshot{
		Name: name, Parent: m.Current, CreatedAt: now, Power: m.Power, Resources: m.Resources, Devices: m.Devices, Contents: m.Contents,
	})
	m.Current = name
}

func (m *machine) revert(name string, mark drivers.Mark) error {
	i := m.find(name)
	if i < 0 {
		return fmt.Errorf("%w: no snapshot %q", drivers.ErrNotFound, name)
	}
	s := &m.Snapshots[i]
	m.Power, m.Resources, m.Devices, m.Contents, m.Mark, m.Current = s.Power, s.Resources, s.Devices, s.Contents, mark.Clone(), name
	return nil
}

// forget drops a snapshot; those taken upon it lie upon its parent then.
func (m *machine) forget(name string) {
	i := m.find(name)
	if i < 0 {
		return
	}
	parent := m.Snapshots[i].Parent
	m.Snapshots = slices.Delete(slices.Clone(m.Snapshots), i, i+1)
	for j := range m.Snapshots {
		if m.Snapshots[j].Parent == name {
			m.Snapshots[j].Parent = parent
		}
	}
	if m.Current == name {
		m.Current = parent
	}
}
