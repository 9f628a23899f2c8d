package agent

import (
	"cmp"
	"context"
	"errors"
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
	had, first, err := a.sizes(ctx, id)
	if err != nil {
		return fleet.Accepted{}, err
	}
	if first > 0 && size.DiskGiB > first {
		if err := a.noSnapshots(ctx, id, "its disk cannot grow while it does"); err != nil {
			return fleet.Accepted{}, err
		}
	}
	live, err := a.takesLive(ctx, id, size, first)
	if err != nil {
		return fleet.Accepted{}, err
	}
	w := &work{verb: verbResize}
	return a.begin(ctx, id, w, func(row *fleet.Instance, picture *observer.Picture) error {
		machine, built := picture.Machines[id]
		if err := ours(row, built); err != nil || !built {
			return err
		}
		if machine.Power != fleet.PowerStopped && (machine.Power != fleet.PowerRunning || !live) {
			return errorf(fleet.CodeConflict, "instance %s is %s; stop it first, for only a stopped one is resized", id, machine.Power)
		}
		if machine.Resources != had {
			return errorf(fleet.CodeBusy, "instance %s has just got another size; look at it and ask again", id)
		}
		return w.fit(&machine.Machine, size, first)
	})
}

// sizes returns what a machine has, and how much of it is its first disk: that may
// have grown since its mark was written. There is nothing of a machine that is not
// here, or not ours; begin says so.
func (a *Agent) sizes(ctx context.Context, id fleet.InstanceID) (all fleet.Resources, first int64, err error) {
	s, here := a.observer.Machine(id)
	if !here || s.Mark == nil {
		return fleet.Resources{}, 0, nil
	}
	first, err = a.diskZeroGiB(ctx, &s.Machine)
	return s.Resources, cmp.Or(first, s.Mark.DiskGiB), err
}

// takesLive reports whether a machine runs and its host can give it this size
// all the same, or why it cannot.
func (a *Agent) takesLive(ctx context.Context, id fleet.InstanceID, size fleet.Size, had int64) (bool, error) {
	s, here := a.observer.Machine(id)
	if !here || s.Mark == nil || s.Power != fleet.PowerRunning {
		return false, nil // begin says what is the matter, if anything is
	}
	grower, err := able[drivers.LiveResizer](a, drivers.FeatureResizeLive, "resizes only machines that are stopped")
	if err != nil {
		return false, nil
	}
	whole, _ := sized(&s.Machine, size, had)
	err = grower.ResizableLive(ctx, id, whole)
	if errors.Is(err, drivers.ErrUnsupported) && whole.DiskGiB >= s.Resources.DiskGiB {
		return false, errorf(fleet.CodeConflict, "instance %s is running and cannot be of flavor %s so: %s; stop it first", id, size.Flavor, drivers.Why(err))
	}
	if errors.Is(err, drivers.ErrUnsupported) {
		return true, nil // its disk cannot shrink, running or not
	}
	return err == nil, a.machineError("resize", id, err)
}

// sized is the size that a machine gets in all, and that of its first disk, which
// had so much: a flavor says how large that one is, and further ones stay as they are.
func sized(m *drivers.Machine, size fleet.Size, had int64) (whole fleet.Resources, first int64) {
	whole, first = size.Resources, cmp.Or(size.DiskGiB, had)
	whole.DiskGiB = first + m.Resources.DiskGiB - had
	return whole, first
}

// fit works out what the machine gets, or why it cannot.
func (w *work) fit(m *drivers.Machine, size fleet.Size, had int64) error {
	whole, first := sized(m, size, had)
	if err := drivers.ResizableLive(m, whole); err != nil {
		return errorf(fleet.CodeInvalid, "instance %s cannot be of flavor %s: %s", m.ID, size.Flavor, drivers.Why(err))
	}
	w.size, w.mark = &whole, m.Mark.Clone()
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
