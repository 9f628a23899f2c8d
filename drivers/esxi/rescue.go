package esxi

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/types"

	"grapevine/drivers"
	"grapevine/fleet"
)

var _ drivers.Rescuer = (*Driver)(nil)

// Rescue implements drivers.Rescuer. The image's disk is copied into the
// machine's folder; the host takes disk or CD, the order of booting, the mark
// and how to undo it all in one task.
func (d *Driver) Rescue(ctx context.Context, id fleet.InstanceID, im fleet.Image, mark drivers.Mark) error {
	return d.rescuing(ctx, "rescue", id, func(ctx context.Context, s *session, m found) error {
		if m.Mark.Rescue.Is() && m.Mark.Rescue.Image == im.ID {
			return nil
		}
		held, err := s.heldImage(ctx, im.ID)
		if err != nil {
			return err
		}
		devices, err := s.devices(ctx, m.ref)
		if err != nil {
			return err
		}
		if err := drivers.Rescuable(&m.Machine, deviceNamed(devices, drivers.DiskName(0)) != nil, &held); err != nil {
			return err
		}
		return s.rescue(ctx, m, devices, &held, mark)
	})
}

func (s *session) rescue(ctx context.Context, m found, devices object.VirtualDeviceList, im *fleet.Image, mark drivers.Mark) error {
	before, err := s.bootsBefore(ctx, m.ref)
	if err != nil {
		return err
	}
	var change types.BaseVirtualDeviceConfigSpec
	var boot types.BaseVirtualMachineBootOptionsBootableDevice = &types.VirtualMachineBootOptionsBootableCdromDevice{}
	if _, iso := im.File(fleet.RoleISO); iso {
		change, err = s.rescueDrive(devices, im.ID, before)
	} else {
		change, boot, err = s.rescueDisk(ctx, m.ID, devices, im)
	}
	if err != nil {
		return err
	}
	undo, err := encodeBefore(before)
	if err != nil {
		return err
	}
	return s.rewrite(ctx, m.ref, mark, undo, &types.VirtualMachineConfigSpec{
		DeviceChange: []types.BaseVirtualDeviceConfigSpec{change},
		BootOptions:  &types.VirtualMachineBootOptions{BootOrder: []types.BaseVirtualMachineBootOptionsBootableDevice{boot}},
	})
}

// Unrescue implements drivers.Rescuer.
func (d *Driver) Unrescue(ctx context.Context, id fleet.InstanceID, mark drivers.Mark) error {
	return d.rescuing(ctx, "unrescue", id, func(ctx context.Context, s *session, m found) error {
		if !m.Mark.Rescue.Is() {
			return nil
		}
		if err := drivers.StoppedFor(&m.Machine, "unrescued"); err != nil {
			return err
		}
		change, err := s.readBefore(ctx, m.ref)
		if err != nil {
			return err
		}
		devices, err := s.devices(ctx, m.ref)
		if err != nil {
			return err
		}
		change.DeviceChange = append(change.DeviceChange, brought(devices, m.Mark.Rescue.Image, len(change.DeviceChange) > 0)...)
		return s.rewrite(ctx, m.ref, mark, "", change)
	})
}

// rescuing does something to a managed machine, alone. The disk of a rescue that
// the machine does not have is removed before, where one was cut short, and
// after.
func (d *Driver) rescuing(ctx context.Context, verb string, id fleet.InstanceID, do func(context.Context, *session, found) error) error {
	return d.alone(ctx, verb, id, func(ctx context.Context, s *session, m found) error {
		if err := s.tidyRescue(ctx, m); err != nil {
			return err
		}
		err := classify(do(ctx, s, m))
		if isUnavailable(err) {
			return err // what the host still does is for the next try to find out
		}
		undoing, cancel := steady(ctx)
		defer cancel()
		return errors.Join(err, s.tidyRescue(undoing, m))
	})
}

func (s *session) tidyRescue(ctx context.Context, m found) error {
	devices, err := s.devices(ctx, m.ref)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(devices, isRescueDisk) {
		return nil
	}
	return s.removeDisk(ctx, rescuePath(m.ID))
}

// rewrite makes a change in one task, with another mark and with how to undo it,
// empty for nothing to undo.
func (s *session) rewrite(ctx context.Context, vm types.ManagedObjectReference, mark drivers.Mark, undo string, change *types.VirtualMachineConfigSpec) error {
	options, err := markOptions(mark)
	if err != nil {
		return err
	}
	// An option whose value is empty is one that is not there.
	change.ExtraConfig = append(options, &types.OptionValue{Key: beforeKey, Value: undo})
	err = s.step(ctx, func(ctx context.Context) (*object.Task, error) {
		return object.NewVirtualMachine(s.client, vm).Reconfigure(ctx, *change)
	})
	if err != nil {
		return fmt.Errorf("change what it boots: %w", err)
	}
	return nil
}
