package esxi

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/types"

	"grapevine/drivers"
	"grapevine/fleet"
)

// Build implements drivers.Driver. The host makes a machine in one task, with
// disk, devices and Mark; the disk is copied before. So a machine that is there
// is whole, and a folder without a machine is what a build cut short has left:
// it is removed first.
func (d *Driver) Build(ctx context.Context, spec drivers.Spec) error {
	id := spec.Mark.ID
	return d.do(ctx, fmt.Sprintf("build machine %s", id), func(ctx context.Context, s *session) error {
		unlock, err := d.builds.Take(ctx, id)
		if err != nil {
			return err
		}
		defer unlock()
		switch m, err := d.findSettled(ctx, s, id); {
		case err == nil && m.Mark == nil:
			return drivers.ErrForeign
		case !errors.Is(err, drivers.ErrNotFound):
			return err // it is there, or the host did not say
		}
		if err := s.buildable(ctx, spec); err != nil {
			return err
		}
		letGo, err := d.originPaths(ctx, s, &spec)
		if err != nil {
			return err
		}
		defer letGo()
		err = classify(s.build(ctx, spec))
		if err == nil || isUnavailable(err) {
			return err // what the host still does is for the next build to find out
		}
		undoing, cancel := steady(ctx)
		defer cancel()
		return errors.Join(err, d.discard(undoing, s, id))
	})
}

// findSettled is find for a machine that may still be being made, by a build
// that lost the connection: until that has ended neither the machine nor its
// folder can be told to be there.
func (d *Driver) findSettled(ctx context.Context, s *session, id fleet.InstanceID) (found, error) {
	m, err := d.find(ctx, s, id)
	if !errors.Is(err, drivers.ErrNotFound) {
		return m, err
	}
	if err := s.ended(ctx, "Folder.createVm"); err != nil {
		return found{}, err
	}
	return d.find(ctx, s, id)
}

// buildable says why the machine cannot be built.
func (s *session) buildable(ctx context.Context, spec drivers.Spec) error {
	if err := drivers.Buildable(&spec, features); err != nil {
		return err
	}
	if err := s.usable(ctx); err != nil {
		return err
	}
	_, err := s.heldImage(ctx, spec.Image.ID)
	return err
}

// build copies the image's disk, makes it as large as asked, and makes the
// machine around it.
func (s *session) build(ctx context.Context, spec drivers.Spec) error {
	folder := machineFolder(spec.Mark.ID)
	if err := s.removeFolder(ctx, folder); err != nil {
		return fmt.Errorf("remove leftovers: %w", err)
	}
	if err := s.makeFolder(ctx, folder); err != nil {
		return err
	}
	if err := s.copyDisks(ctx, spec, folder); err != nil {
		return err
	}
	config, err := s.machineConfig(ctx, spec, folder)
	if err != nil {
		return err
	}
	err = s.step(ctx, func(ctx context.Context) (*object.Task, error) {
		return s.folder.CreateVM(ctx, config, s.pool, s.host)
	})
	if err != nil {
		return fmt.Errorf("create machine: %w", err)
	}
	return nil
}

// diskBytes is the size of the machine's disk: the image's own where no more
// was asked for.
func diskBytes(spec drivers.Spec) int64 {
	image, _ := spec.Image.File(fleet.RoleDisk)
	return max(image.VirtualBytes, spec.Resources.DiskGiB<<30)
}

// machineConfig is the machine as the host is asked to make it.
func (s *session) machineConfig(ctx context.Context, spec drivers.Spec, folder string) (types.VirtualMachineConfigSpec, error) {
	devices, err := s.newDevices(ctx, spec, folder)
	if err != nil {
		return types.VirtualMachineConfigSpec{}, err
	}
	options, err := markOptions(spec.Mark)
	if err != nil {
		return types.VirtualMachineConfigSpec{}, err
	}
	guest, err := guestOptions(&spec)
	if err != nil {
		return types.VirtualMachineConfigSpec{}, err
	}
	options = append(options, guest...)
	// Without this the host asks, at the second power on, what to do with the
	// console's file, and waits for an answer.
	options = append(options, &types.OptionValue{Key: "answer.msg.serial.file.open", Value: "Append"})
	id := spec.Mark.ID.String()
	config := types.VirtualMachineConfigSpec{
		Name:         displayName(spec.Mark),
		Uuid:         id,
		InstanceUuid: id,
		GuestId:      string(types.VirtualMachineGuestOsIdentifierOtherLinux64Guest),
		NumCPUs:      int32(spec.Resources.VCPUs),
		MemoryMB:     spec.Resources.MemoryMiB,
		Files:        &types.VirtualMachineFileInfo{VmPathName: s.datastore.Path(folder + "/" + id + ".vmx")},
		Firmware:     firmwareOf(spec.Firmware),
		DeviceChange: devices,
		ExtraConfig:  options,
	}
	hotAdd(&config)
	return config, nil
}

// serialController is the key of the controller that every machine has for
// serial ports.
const serialController = 400

// newDevices are the machine's disks, network cards, CD drive and serial console.
func (s *session) newDevices(ctx context.Context, spec drivers.Spec, folder string) ([]types.BaseVirtualDeviceConfigSpec, error) {
	var list object.VirtualDeviceList
	scsi, err := list.CreateSCSIController("pvscsi")
	if err != nil {
		return nil, fmt.Errorf("make controller: %w", err)
	}
	list = append(list, scsi)
	sata, err := list.CreateSATAController()
	if err != nil {
		return nil, fmt.Errorf("make controller: %w", err)
	}
	list = append(list, sata)
	changes := added(scsi, sata)
	for _, disk := range s.disks(list, scsi.(types.BaseVirtualController), spec, folder) {
		changes, list = append(changes, disk), append(list, disk.Device)
	}
	for _, nic := range spec.Cards {
		card, err := s.card(ctx, list, nic)
		if err != nil {
			return nil, err
		}
		changes, list = append(changes, added(card)...), append(list, card)
	}
	if _, iso := spec.Image.File(fleet.RoleISO); iso {
		changes = append(changes, added(s.cd(list, sata.(types.BaseVirtualController), 0, spec.Image.ID))...)
	}
	return append(changes, added(s.console(folder))...), nil
}

// disks are the first disk, a copy of the image's or empty, and the further
// ones.
func (s *session) disks(list object.VirtualDeviceList, scsi types.BaseVirtualController, spec drivers.Spec, folder string) []*types.VirtualDeviceConfigSpec {
	var changes []*types.VirtualDeviceConfigSpec
	if _, copied := spec.Image.File(fleet.RoleDisk); copied || !spec.Origin(0).IsZero() {
		disk := s.copiedDisk(list, scsi, folder+"/"+diskFile, 0, diskBytes(spec))
		changes, list = append(changes, disk), append(list, disk.Device)
	} else if gib := spec.DiskGiB(); gib > 0 {
		disk := s.newDisk(list, scsi, folder, 0, gib)
		changes, list = append(changes, disk), append(list, disk.Device)
	}
	for i, further := range spec.Disks {
		disk := s.newDisk(list, scsi, folder, i+1, further.SizeGiB)
		if !spec.Origin(i + 1).IsZero() {
			disk = s.copiedDisk(list, scsi, folder+"/"+furtherFile(i+1), i+1, further.SizeGiB<<30)
		}
		changes, list = append(changes, disk), append(list, disk.Device)
	}
	return changes
}

// console is a serial port whose output goes to a file beside the machine.
func (s *session) console(folder string) types.BaseVirtualDevice {
	return &types.VirtualSerialPort{VirtualDevice: types.VirtualDevice{
		Key:           -100,
		ControllerKey: serialController,
		UnitNumber:    types.NewInt32(0),
		Backing: &types.VirtualSerialPortFileBackingInfo{VirtualDeviceFileBackingInfo: types.VirtualDeviceFileBackingInfo{
			FileName: s.datastore.Path(folder + "/console.log"),
		}},
		Connectable: &types.VirtualDeviceConnectInfo{StartConnected: true, AllowGuestControl: true},
	}, YieldOnPoll: true}
}

// Delete implements drivers.Driver. A machine that Build did not make, but
// that was adopted, is taken off the host's inventory; its files stay.
func (d *Driver) Delete(ctx context.Context, id fleet.InstanceID) error {
	return d.do(ctx, fmt.Sprintf("delete machine %s", id), func(ctx context.Context, s *session) error {
		unlock, err := d.builds.Take(ctx, id)
		if err != nil {
			return err
		}
		defer unlock()
		return d.discard(ctx, s, id)
	})
}

// discard removes a managed machine, and the folder that Build made for it
// also where there is no machine any more.
func (d *Driver) discard(ctx context.Context, s *session, id fleet.InstanceID) error {
	m, err := d.findSettled(ctx, s, id)
	switch {
	case errors.Is(err, drivers.ErrNotFound):
		return s.removeFolder(ctx, machineFolder(id))
	case err != nil:
		return err
	case m.Mark == nil:
		return drivers.ErrForeign
	}
	vm := object.NewVirtualMachine(s.client, m.ref)
	if m.Power != fleet.PowerStopped {
		task, err := vm.PowerOff(ctx)
		if err := d.settle(ctx, s, id, fleet.PowerStopped, s.wait(ctx, task, err)); err != nil {
			return fmt.Errorf("power off: %w", err)
		}
	}
	if !strings.HasPrefix(m.vmx, s.datastore.Path(machineFolder(id)+"/")) {
		return gone(vm.Unregister(ctx))
	}
	task, err := vm.Destroy(ctx)
	if err := gone(s.wait(ctx, task, err)); err != nil {
		return fmt.Errorf("destroy: %w", err)
	}
	return s.removeFolder(ctx, machineFolder(id))
}

// gone forgives the removal of a machine that somebody else has removed.
func gone(err error) error {
	if errors.Is(classify(err), drivers.ErrNotFound) {
		return nil
	}
	return err
}
