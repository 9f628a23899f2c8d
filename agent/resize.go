package agent

import (
	"context"
	"fmt"
	"slices"

	"grapevine/agent/journal"
	"grapevine/agent/observer"
	"grapevine/drivers"
	"grapevine/fleet"
)

// ResizeInstance implements api.Writer for the machines of this host, with the
// flavors that this agent knows.
func (a *Agent) ResizeInstance(ctx context.Context, id fleet.InstanceID, flavor string) (fleet.Accepted, error) {
	size, err := a.Flavor(flavor)
	if err != nil {
		return fleet.Accepted{}, err
	}
	return a.SetSize(ctx, id, fleet.Size{Flavor: size.Name, Resources: size.Resources})
}

// SetSize implements api.Node: it promises a size if the host has room for it.
func (a *Agent) SetSize(ctx context.Context, id fleet.InstanceID, size fleet.Size) (fleet.Accepted, error) {
	if err := size.Validate(); err != nil {
		return fleet.Accepted{}, err
	}
	if d := a.observer.Description(); !slices.Contains(d.Features, drivers.FeatureResize) {
		return fleet.Accepted{}, errorf(fleet.CodeUnsupported, "%s on host %s cannot resize machines", d.Hypervisor, a.name())
	}
	if s, here := a.observer.Machine(id); here && s.Mark != nil && size.DiskGiB > s.Mark.DiskGiB {
		if err := a.noSnapshots(ctx, id, "its disk cannot grow while it does"); err != nil {
			return fleet.Accepted{}, err
		}
	}
	w := &work{verb: verbResize}
	return a.begin(id, w, func(row *fleet.Instance, picture *observer.Picture) error {
		machine, built := picture.Machines[id]
		if err := ours(row, built); err != nil || !built {
			return err
		}
		return w.fit(&machine.Machine, size)
	})
}

// fit works out what the machine gets, or why it cannot. A flavor says how large
// the first disk is; further ones stay as they are.
func (w *work) fit(m *drivers.Machine, size fleet.Size) error {
	further := m.Resources.DiskGiB - m.Mark.DiskGiB
	if size.DiskGiB == 0 {
		size.DiskGiB = m.Mark.DiskGiB
	}
	first := size.DiskGiB
	size.DiskGiB += further
	if m.Power != fleet.PowerStopped {
		return errorf(fleet.CodeConflict, "instance %s is %s; stop it first, for only a stopped one is resized", m.ID, m.Power)
	}
	if err := drivers.Resizable(m, size.Resources); err != nil {
		return errorf(fleet.CodeInvalid, "instance %s cannot be of flavor %s: %v", m.ID, size.Flavor, err)
	}
	w.size, w.mark = &size.Resources, m.Mark.Clone()
	w.mark.Flavor, w.mark.DiskGiB = size.Flavor, first
	return nil
}

// noSnapshots refuses what hypervisors do not do to the disks of a machine that
// has snapshots.
func (a *Agent) noSnapshots(ctx context.Context, id fleet.InstanceID, why string) error {
	if _, err := a.snapshotter(); err != nil {
		return nil // none here, and so none of this machine
	}
	list, err := (*local)(a).Snapshots(ctx, id)
	if err != nil {
		return err
	}
	if len(list.Items) > 0 {
		return errorf(fleet.CodeConflict, "instance %s has %d snapshots, and %s; delete them first", id, len(list.Items), why)
	}
	return nil
}

// resize does what the operation says.
func (a *Agent) resize(ctx context.Context, op *journal.Operation) error {
	resizer, ok := a.driver.(drivers.Resizer)
	if !ok || op.Size == nil || op.Mark == nil {
		return fmt.Errorf("resize: %w", drivers.ErrUnsupported)
	}
	if err := resizer.Resize(ctx, op.Instance, *op.Size, *op.Mark); err != nil {
		return fmt.Errorf("resize: %w", err)
	}
	return nil
}
