package esxi

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/types"

	"grapevine/drivers"
	"grapevine/fleet"
)

// Act implements drivers.Driver. A guest that runs VMware Tools is asked to
// stop or reboot by itself when opts has a grace; without them there is no way
// to ask, and the host does it at once.
func (d *Driver) Act(ctx context.Context, id fleet.InstanceID, action fleet.InstanceAction, opts drivers.ActOptions) error {
	return d.do(ctx, fmt.Sprintf("%s machine %s", action, id), func(ctx context.Context, s *session) error {
		m, err := d.managed(ctx, s, id)
		if err != nil {
			return err
		}
		vm := object.NewVirtualMachine(s.client, m.ref)
		switch action {
		case fleet.Start:
			task, err := vm.PowerOn(ctx)
			if err := d.settle(ctx, s, id, fleet.PowerRunning, s.wait(ctx, task, err)); err != nil {
				return s.inMaintenance(ctx, err)
			}
			return nil
		case fleet.Stop:
			return d.stop(ctx, s, m, vm, opts.Grace)
		case fleet.Reboot:
			return s.reboot(ctx, m, vm, opts.Grace)
		default:
			return drivers.ErrUnsupported
		}
	})
}

// inMaintenance says so where that is why the host refused a start: it answers
// only that its state does not allow it.
func (s *session) inMaintenance(ctx context.Context, err error) error {
	if _, is := faultOf(err).(*types.InvalidState); is && errors.Is(s.usable(ctx), drivers.ErrMaintenance) {
		return fmt.Errorf("%w: %w", drivers.ErrMaintenance, err)
	}
	return err
}

// settle forgives an action that came too late: its effect is there already.
func (d *Driver) settle(ctx context.Context, s *session, id fleet.InstanceID, want fleet.Power, err error) error {
	if !isPowerState(err) {
		return err
	}
	if m, readErr := d.find(ctx, s, id); readErr == nil && m.Power == want {
		return nil
	}
	return err
}

// stop lets the guest stop by itself for the time of the grace, and then
// powers it off.
func (d *Driver) stop(ctx context.Context, s *session, m found, vm *object.VirtualMachine, grace time.Duration) error {
	if m.Power == fleet.PowerStopped {
		return nil
	}
	if grace > 0 && m.tools && m.Power == fleet.PowerRunning {
		if err := vm.ShutdownGuest(ctx); err == nil && s.isOffWithin(ctx, vm, grace) {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	task, err := vm.PowerOff(ctx)
	return d.settle(ctx, s, m.ID, fleet.PowerStopped, s.wait(ctx, task, err))
}

// isOffWithin waits until the host says that the machine is off.
func (s *session) isOffWithin(ctx context.Context, vm *object.VirtualMachine, grace time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	off := false
	for {
		err := s.updates(ctx, one(vm.Reference(), pathPower), func(set *types.UpdateSet) (bool, error) {
			for _, update := range objects(set) {
				for _, c := range update.ChangeSet {
					off = off || c.Val == types.VirtualMachinePowerStatePoweredOff
				}
			}
			return off, nil
		})
		if !isLostCollector(err) {
			return off
		}
	}
}

// reboot asks the guest where it can be asked, and else resets the machine. A
// guest that was asked reboots in its own time: the host does not tell when.
func (s *session) reboot(ctx context.Context, m found, vm *object.VirtualMachine, grace time.Duration) error {
	if grace > 0 && m.tools && m.Power == fleet.PowerRunning {
		if err := vm.RebootGuest(ctx); err == nil || ctx.Err() != nil {
			return err
		}
	}
	task, err := vm.Reset(ctx)
	return s.wait(ctx, task, err)
}

// Adopt implements drivers.Driver.
func (d *Driver) Adopt(ctx context.Context, id fleet.InstanceID, mark drivers.Mark) error {
	return d.do(ctx, fmt.Sprintf("adopt machine %s", id), func(ctx context.Context, s *session) error {
		if mark.ID != id {
			return fmt.Errorf("the mark is that of machine %s", mark.ID)
		}
		m, err := d.find(ctx, s, id)
		if err != nil {
			return err
		}
		return s.write(ctx, m.ref, mark)
	})
}

// Disown implements drivers.Driver. An option whose value is empty is one that
// is not there.
func (d *Driver) Disown(ctx context.Context, id fleet.InstanceID) error {
	return d.do(ctx, fmt.Sprintf("disown machine %s", id), func(ctx context.Context, s *session) error {
		m, err := d.find(ctx, s, id)
		if err != nil {
			return err
		}
		return s.setOptions(ctx, m.ref, []types.BaseOptionValue{
			&types.OptionValue{Key: markKey, Value: ""}, &types.OptionValue{Key: generationKey, Value: ""},
		})
	})
}

// write makes a mark that of the machine.
func (s *session) write(ctx context.Context, vm types.ManagedObjectReference, mark drivers.Mark) error {
	options, err := markOptions(mark)
	if err != nil {
		return err
	}
	return s.setOptions(ctx, vm, options)
}

func (s *session) setOptions(ctx context.Context, vm types.ManagedObjectReference, options []types.BaseOptionValue) error {
	task, err := object.NewVirtualMachine(s.client, vm).Reconfigure(ctx, types.VirtualMachineConfigSpec{ExtraConfig: options})
	return s.wait(ctx, task, err)
}
