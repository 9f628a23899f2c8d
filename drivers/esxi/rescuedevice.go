package esxi

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/types"

	"grapevine/drivers"
	"grapevine/fleet"
)

// rescueName begins the name of a rescue's disk, a copy of the image's in the
// machine's folder. By that it is known for what it is, also where somebody has
// taken a snapshot at the host, which gives its file a number.
const rescueName = "rescue"

func rescuePath(id fleet.InstanceID) string { return machineFolder(id) + "/" + rescueName + ".vmdk" }

// isRescueDisk reports whether a device is the disk of a rescue.
func isRescueDisk(device types.BaseVirtualDevice) bool {
	file := fileOf(device)
	return strings.HasPrefix(path.Base(file), rescueName) && strings.Contains(file, machinesFolder+"/")
}

// rescueUnit is where the disk of a rescue is at the controller of the first
// disk: the last of its places, behind those of fleet.MaxDisks further ones.
const rescueUnit = 15

// rescueDisk copies the image's disk, and says how to attach and to boot it. The
// order of booting names a disk by its key, and a host gives keys by a disk's
// place: from 2000 on, 16 for each SCSI controller. So the key is known before
// the disk is there, and one task does for both.
func (s *session) rescueDisk(ctx context.Context, id fleet.InstanceID, devices object.VirtualDeviceList, im *fleet.Image) (
	types.BaseVirtualDeviceConfigSpec, types.BaseVirtualMachineBootOptionsBootableDevice, error,
) {
	first := deviceNamed(devices, drivers.DiskName(0)).GetVirtualDevice()
	controller, ok := devices.FindByKey(first.ControllerKey).(types.BaseVirtualController)
	if !ok {
		return nil, nil, errors.New("its first disk is at no controller")
	}
	at := controller.GetVirtualController()
	key := 2000 + 16*at.BusNumber + rescueUnit
	taken := func(d types.BaseVirtualDevice) bool {
		v := d.GetVirtualDevice()
		return v.Key == key || v.ControllerKey == at.Key && v.UnitNumber != nil && *v.UnitNumber == rescueUnit
	}
	if slices.ContainsFunc(devices, taken) {
		return nil, nil, fmt.Errorf("place %d at the controller of its first disk, where the disk of a rescue goes, is taken", rescueUnit)
	}
	if err := s.copyDisk(ctx, imageFolder(im.ID)+"/"+diskFile, rescuePath(id)); err != nil {
		return nil, nil, fmt.Errorf("copy disk: %w", err)
	}
	file, _ := im.File(fleet.RoleDisk)
	disk := devices.CreateDisk(controller, s.datastore.Reference(), s.datastore.Path(rescuePath(id)))
	disk.Key, disk.UnitNumber, disk.CapacityInKB = key, new(int32(rescueUnit)), file.VirtualBytes>>10
	return changed(types.VirtualDeviceConfigSpecOperationAdd, disk), &types.VirtualMachineBootOptionsBootableDiskDevice{DeviceKey: key}, nil
}

// rescueDrive says how to put the image's ISO into the first CD drive, which
// comes with it where there is none: the order of booting says CD, and not
// which. What a drive had is put into the change that undoes it.
func (s *session) rescueDrive(devices object.VirtualDeviceList, image string, undo *types.VirtualMachineConfigSpec) (types.BaseVirtualDeviceConfigSpec, error) {
	if drive := firstDrive(devices); drive != nil {
		undo.DeviceChange = append(undo.DeviceChange, changed(types.VirtualDeviceConfigSpecOperationEdit, drive))
		other := *drive
		other.Connectable = driveConnected()
		return changed(types.VirtualDeviceConfigSpecOperationEdit, devices.InsertIso(&other, s.isoPath(image))), nil
	}
	controller := devices.PickController((*types.VirtualAHCIController)(nil))
	if controller == nil {
		return nil, drivers.Unfit("the machine has no SATA controller for a CD drive")
	}
	return changed(types.VirtualDeviceConfigSpecOperationAdd, s.cd(devices, controller, 0, image)), nil
}

// firstDrive is the CD drive that firmware tries first, nil for none: IDE's come
// before SATA's, by their controllers' keys.
func firstDrive(devices object.VirtualDeviceList) *types.VirtualCdrom {
	var first *types.VirtualCdrom
	for _, device := range devices {
		drive, ok := device.(*types.VirtualCdrom)
		if ok && (first == nil || cmp.Or(cmp.Compare(drive.ControllerKey, first.ControllerKey), cmp.Compare(unitNumber(drive), unitNumber(first))) < 0) {
			first = drive
		}
	}
	return first
}

// brought are the changes that take off what came with a rescue: its disk, and
// the drive with its ISO unless that was there before. The files stay.
func brought(devices object.VirtualDeviceList, image string, hadDrive bool) []types.BaseVirtualDeviceConfigSpec {
	var changes []types.BaseVirtualDeviceConfigSpec
	for _, device := range devices {
		seen, _ := deviceOf(devices, device)
		if isRescueDisk(device) || !hadDrive && seen.Kind == fleet.DeviceISO && seen.Image == image {
			changes = append(changes, changed(types.VirtualDeviceConfigSpecOperationRemove, device))
		}
	}
	return changes
}

func changed(how types.VirtualDeviceConfigSpecOperation, device types.BaseVirtualDevice) *types.VirtualDeviceConfigSpec {
	return &types.VirtualDeviceConfigSpec{Operation: how, Device: device}
}
