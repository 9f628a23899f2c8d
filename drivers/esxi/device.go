package esxi

import (
	"context"
	"fmt"
	"strings"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/types"

	"grapevine/drivers"
	"grapevine/fleet"
)

var _ drivers.DeviceKeeper = (*Driver)(nil)

// scsiReserved is the unit of a SCSI controller that is the controller itself.
const scsiReserved = 7

// diskNumber is the number of the disk at a controller's unit, unitOf the
// unit of a disk with a number: units without the reserved one.
func diskNumber(unit int32) int {
	if unit > scsiReserved {
		unit--
	}
	return int(unit)
}

func unitOf(number int) int32 {
	if number >= scsiReserved {
		number++
	}
	return int32(number) // at most fleet.MaxDisks
}

// Devices implements drivers.DeviceKeeper.
func (d *Driver) Devices(ctx context.Context, id fleet.InstanceID) ([]fleet.Device, error) {
	var devices []fleet.Device
	err := d.do(ctx, fmt.Sprintf("list devices of machine %s", id), func(ctx context.Context, s *session) error {
		m, err := d.find(ctx, s, id)
		if err != nil {
			return err
		}
		list, err := s.devices(ctx, m.ref)
		if err != nil {
			return err
		}
		devices = nil
		for _, device := range list {
			if seen, ok := deviceOf(list, device); ok {
				devices = append(devices, seen)
			}
		}
		drivers.OrderDevices(devices)
		return nil
	})
	return devices, err
}

// deviceOf puts a device into the fleet's words; false for those that have
// none, such as controllers and the disk of a rescue.
func deviceOf(all object.VirtualDeviceList, device types.BaseVirtualDevice) (fleet.Device, bool) {
	switch v := device.(type) {
	case *types.VirtualDisk:
		if isRescueDisk(v) {
			return fleet.Device{}, false
		}
		return fleet.Device{Kind: fleet.DeviceDisk, Name: diskNameOf(all, v), SizeGiB: sizeOf(v)}, true
	case types.BaseVirtualEthernetCard:
		card := v.GetVirtualEthernetCard()
		seen := fleet.Device{Kind: fleet.DeviceNIC, Name: strings.ToLower(card.MacAddress)}
		if backing, ok := card.Backing.(*types.VirtualEthernetCardNetworkBackingInfo); ok {
			seen.Network = backing.DeviceName
		}
		return seen, true
	case *types.VirtualCdrom:
		seen := fleet.Device{Kind: fleet.DeviceISO, Name: drivers.ISOName(int(unitNumber(v)))}
		if backing, ok := v.Backing.(*types.VirtualCdromIsoBackingInfo); ok {
			seen.Image = imageOfISO(backing.FileName)
		}
		return seen, true
	default:
		return fleet.Device{}, false
	}
}

// diskNameOf names a disk by its place: those of the first SCSI controller by
// their unit, those of others, which Build does not make, from 100 on.
func diskNameOf(all object.VirtualDeviceList, disk *types.VirtualDisk) string {
	number := diskNumber(unitNumber(disk))
	if controller, ok := all.FindByKey(disk.ControllerKey).(types.BaseVirtualController); ok {
		if _, scsi := controller.(types.BaseVirtualSCSIController); !scsi || controller.GetVirtualController().BusNumber != 0 {
			number = int(disk.Key)
		}
	}
	return drivers.DiskName(number)
}

func unitNumber(device types.BaseVirtualDevice) int32 {
	if unit := device.GetVirtualDevice().UnitNumber; unit != nil {
		return *unit
	}
	return 0
}

// imageOfISO returns the image whose ISO a datastore path names.
func imageOfISO(path string) string {
	_, rest, _ := strings.Cut(path, imagesFolder+"/")
	id, file, _ := strings.Cut(rest, "/")
	if file != isoFile || !fleet.IsImageID(id) {
		return ""
	}
	return id
}

// devices are those that a machine has.
func (s *session) devices(ctx context.Context, vm types.ManagedObjectReference) (object.VirtualDeviceList, error) {
	list, err := object.NewVirtualMachine(s.client, vm).Device(ctx)
	if err != nil {
		return nil, fmt.Errorf("read devices: %w", err)
	}
	return list, nil
}

// onDevices changes a managed machine in one task, by what change finds to do
// with its devices; nothing is no task.
func (d *Driver) onDevices(ctx context.Context, what string, id fleet.InstanceID,
	change func(ctx context.Context, s *session, devices object.VirtualDeviceList) ([]types.BaseVirtualDeviceConfigSpec, error),
) error {
	return d.do(ctx, fmt.Sprintf("%s machine %s", what, id), func(ctx context.Context, s *session) error {
		unlock, err := d.builds.Take(ctx, id)
		if err != nil {
			return err
		}
		defer unlock()
		m, err := d.managed(ctx, s, id)
		if err != nil {
			return err
		}
		devices, err := s.devices(ctx, m.ref)
		if err != nil {
			return err
		}
		changes, err := change(ctx, s, devices)
		if err != nil || len(changes) == 0 {
			return err
		}
		return s.step(ctx, func(ctx context.Context) (*object.Task, error) {
			return object.NewVirtualMachine(s.client, m.ref).Reconfigure(ctx, types.VirtualMachineConfigSpec{DeviceChange: changes})
		})
	})
}

// deviceNamed finds a device by its name.
func deviceNamed(devices object.VirtualDeviceList, name string) types.BaseVirtualDevice {
	for _, device := range devices {
		if seen, ok := deviceOf(devices, device); ok && seen.Name == name {
			return device
		}
	}
	return nil
}

// DetachDevice implements drivers.DeviceKeeper. The file of a disk goes with it
// where it lies in the machine's own folder.
func (d *Driver) DetachDevice(ctx context.Context, id fleet.InstanceID, name string) error {
	return d.onDevices(ctx, "detach "+name+" from", id, func(_ context.Context, s *session, devices object.VirtualDeviceList) ([]types.BaseVirtualDeviceConfigSpec, error) {
		if name == drivers.DiskName(0) {
			return nil, drivers.ErrFirstDisk
		}
		device := deviceNamed(devices, name)
		if device == nil {
			return nil, nil
		}
		change := &types.VirtualDeviceConfigSpec{Operation: types.VirtualDeviceConfigSpecOperationRemove, Device: device}
		if strings.HasPrefix(fileOf(device), s.datastore.Path(machineFolder(id)+"/")) {
			change.FileOperation = types.VirtualDeviceConfigSpecFileOperationDestroy
		}
		return []types.BaseVirtualDeviceConfigSpec{change}, nil
	})
}

// fileOf is the datastore path of a disk's file, empty for other devices.
func fileOf(device types.BaseVirtualDevice) string {
	disk, ok := device.(*types.VirtualDisk)
	if !ok {
		return ""
	}
	if backing, ok := disk.Backing.(types.BaseVirtualDeviceFileBackingInfo); ok {
		return backing.GetVirtualDeviceFileBackingInfo().FileName
	}
	return ""
}

// GrowDisk implements drivers.DeviceKeeper.
func (d *Driver) GrowDisk(ctx context.Context, id fleet.InstanceID, name string, gib int64) error {
	return d.onDevices(ctx, "grow "+name+" of", id, func(_ context.Context, _ *session, devices object.VirtualDeviceList) ([]types.BaseVirtualDeviceConfigSpec, error) {
		disk, ok := deviceNamed(devices, name).(*types.VirtualDisk)
		if !ok {
			return nil, drivers.ErrNotFound
		}
		have := sizeOf(disk)
		if err := drivers.Growable(have, gib); err != nil || have == gib {
			return nil, err
		}
		disk.CapacityInKB, disk.CapacityInBytes = gib<<20, gib<<30
		return []types.BaseVirtualDeviceConfigSpec{&types.VirtualDeviceConfigSpec{Operation: types.VirtualDeviceConfigSpecOperationEdit, Device: disk}}, nil
	})
}

// firstDisk is the disk that Build made first, nil where there is none.
func firstDisk(devices object.VirtualDeviceList) *types.VirtualDisk {
	if disk, ok := deviceNamed(devices, drivers.DiskName(0)).(*types.VirtualDisk); ok {
		return disk
	}
	if disks := devices.SelectByType((*types.VirtualDisk)(nil)); len(disks) == 1 {
		return disks[0].(*types.VirtualDisk)
	}
	return nil
}
