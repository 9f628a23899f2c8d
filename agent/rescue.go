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

// rescuer is the driver with its rescues, or why there are none here.
func (a *Agent) rescuer() (drivers.Rescuer, error) {
	return able[drivers.Rescuer](a, drivers.FeatureRescue, "rescues no machines")
}

// RescueInstance implements api.Writer for the machines of this host.
func (a *Agent) RescueInstance(ctx context.Context, id fleet.InstanceID, ask fleet.Rescue, key string) (fleet.Accepted, error) {
	named := a.NameImage(&ask.Image)
	w := &work{verb: fleet.VerbRescue, key: key, hash: hashOf(ask)}
	if accepted, known, err := a.repeated(id, w); known {
		return accepted, err
	}
	if named != nil {
		return fleet.Accepted{}, named
	}
	if _, err := a.rescuer(); err != nil {
		return fleet.Accepted{}, err
	}
	image, err := a.Image(ctx, ask.Image)
	if err != nil {
		return fleet.Accepted{}, err
	}
	d := a.observer.Description()
	if err := drivers.Bootable(image, d.Features); err != nil {
		return fleet.Accepted{}, errorf(fleet.CodeUnsupported, "host %s cannot boot image %s: %s", a.name(), image.Name, drivers.Why(err))
	}
	if err := a.within(&image); err != nil {
		return fleet.Accepted{}, err
	}
	first := int64(0)
	if m, here := a.observer.Machine(id); here && m.Mark != nil {
		if first, err = a.diskZeroGiB(ctx, &m.Machine); err != nil {
			return fleet.Accepted{}, err
		}
		if err := a.sameKind(ctx, &m.Machine, &image); err != nil {
			return fleet.Accepted{}, err
		}
	}
	return a.begin(ctx, id, w, func(row *fleet.Instance, picture *observer.Picture) error {
		machine, built := picture.Machines[id]
		if err := ours(row, built); err != nil || !built {
			return err
		}
		stopped := machine.Machine
		stopped.Power = fleet.PowerStopped // as it will be
		if err := drivers.Rescuable(&stopped, first > 0, &image); err != nil {
			return errorf(fleet.CodeUnsupported, "instance %s cannot be rescued: %v", id, err)
		}
		w.power, w.image, w.mark = machine.Power, image.ID, machine.Mark.Clone()
		w.mark.Rescue = drivers.Rescued{Image: image.ID, Power: machine.Power}
		return startable(a, picture, fleet.PowerRunning)
	})
}

// sameKind refuses what Xen's driver would: there a machine that boots a kernel
// and one that boots a disk are guests of two kinds.
func (a *Agent) sameKind(ctx context.Context, m *drivers.Machine, image *fleet.Image) error {
	if a.observer.Description().Hypervisor != fleet.Xen {
		return nil
	}
	was, err := a.Image(ctx, m.Mark.Image)
	if err != nil {
		return nil //nolint:nilerr // what it was made from is not known any more; the driver sees what it is
	}
	if was.BootsKernel() != image.BootsKernel() {
		return errorf(fleet.CodeUnsupported, "image %s %s, and instance %s was made from one that %s: on Xen only one of its own kind rescues it", image.Name, boots(image), m.ID, boots(&was))
	}
	return nil
}

// UnrescueInstance implements api.Writer for the machines of this host.
func (a *Agent) UnrescueInstance(ctx context.Context, id fleet.InstanceID, key string) (fleet.Accepted, error) {
	w := &work{verb: fleet.VerbUnrescue, key: key, hash: hashOf("")}
	if accepted, known, err := a.repeated(id, w); known {
		return accepted, err
	}
	if _, err := a.rescuer(); err != nil {
		return fleet.Accepted{}, err
	}
	return a.begin(ctx, id, w, func(row *fleet.Instance, picture *observer.Picture) error {
		machine, built := picture.Machines[id]
		if err := ours(row, built); err != nil || !built {
			return err
		}
		if row.Rescue == "" {
			return errorf(fleet.CodeConflict, "instance %s is not rescued", id)
		}
		w.power, w.mark = machine.Mark.Rescue.Power, machine.Mark.Clone()
		w.mark.Rescue = drivers.Rescued{}
		return startable(a, picture, w.power)
	})
}

// whileRescued are the verbs that a rescued instance takes: all others would be
// lost with its end, or stand in its way.
var whileRescued = []string{
	string(fleet.Start), string(fleet.Stop), string(fleet.Reboot), string(fleet.Pause), string(fleet.Resume), verbDelete, fleet.VerbUnrescue,
}

// free refuses what cannot be done to a rescued instance.
func free(row *fleet.Instance, verb string) error {
	if row.Rescue == "" || slices.Contains(whileRescued, verb) {
		return nil
	}
	return errorf(fleet.CodeConflict, "instance %s is rescued by image %.12s; end that first with: grapevine instance unrescue %s", row.ID, row.Rescue, row.ID)
}

// rescue does what the operation says. A machine whose rescue could not be begun
// goes on as it was.
func (a *Agent) rescue(ctx context.Context, op *journal.Operation) error {
	rescuer, err := a.rescuer()
	if err != nil {
		return err
	}
	if op.Mark == nil {
		return fmt.Errorf("rescue: %w", drivers.ErrForeign)
	}
	isDone := func(m *drivers.Machine) bool { return m.Mark != nil && m.Mark.Rescue == op.Mark.Rescue }
	err = a.exchangeWith(ctx, op, op.Mark.Rescue.Image, isDone, func(ctx context.Context, image fleet.Image) error {
		return rescuer.Rescue(ctx, op.Instance, image, *op.Mark)
	})
	if err != nil {
		return err
	}
	return a.powerOn(ctx, op)
}

// unrescue does what the operation says.
func (a *Agent) unrescue(ctx context.Context, op *journal.Operation) error {
	rescuer, err := a.rescuer()
	if err != nil {
		return err
	}
	if op.Mark == nil {
		return fmt.Errorf("unrescue: %w", drivers.ErrForeign)
	}
	err = a.exchange(ctx, op, func(m *drivers.Machine) bool { return m.Mark != nil && !m.Mark.Rescue.Is() }, func() error {
		return rescuer.Unrescue(ctx, op.Instance, *op.Mark)
	})
	if err != nil {
		return fmt.Errorf("unrescue: %w", err)
	}
	return a.bringBack(ctx, op)
}
