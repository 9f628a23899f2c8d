package esxi

import (
	"context"
	"fmt"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/types"

	"grapevine/drivers"
	"grapevine/fleet"
)

// AttachDevice implements drivers.DeviceKeeper.
func (d *Driver) AttachDevice(ctx context.Context, id fleet.InstanceID, a drivers.Attachment) error {
	what := fmt.Sprintf("attach %s %s to", a.Kind, a.Name)
	return d.onDevices(ctx, what, id, func(ctx context.Context, s *session, devices object.VirtualDeviceList) ([]types.BaseVirtualDeviceConfigSpec, error) {
		if deviceNamed(devices, a.Name) != nil {
			return nil, nil
		}
		switch a.Kind {
		case fleet.DeviceDisk:
			return s.furtherDisk(devices, machineFolder(id), a.Name, a.SizeGiB)
		case fleet.DeviceNIC:
			if a.NIC.VLAN != 0 {
				return nil, errVLAN
			}
			card, err := s.card(ctx, devices, a.NIC)
			return added(card), err
		case fleet.DeviceISO:
			return s.furtherISO(ctx, devices, a)
		default:
			return nil, fmt.Errorf("%w: device kind %s", drivers.ErrUnsupported, a.Kind)
		}
	})
}

// errVLAN: a port group has its VLAN, a card has none.
var errVLAN = fmt.Errorf("%w: on ESXi a port group has the VLAN; name the port group that has it", drivers.ErrUnsupported)

// furtherDisk is a new empty disk at the first SCSI controller.
func (s *session) furtherDisk(devices object.VirtualDeviceList, folder, name string, gib int64) ([]types.BaseVirtualDeviceConfigSpec, error) {
	controller, err := devices.FindDiskController("scsi")
	if err != nil {
		return nil, fmt.Errorf("find SCSI controller: %w", err)
	}
	number, ok := drivers.DiskNumber(name)
	if !ok {
		return nil, drivers.Unfit("no disk can be called %q", name)
	}
	return []types.BaseVirtualDeviceConfigSpec{s.newDisk(devices, controller, folder, number, gib)}, nil
}

// newDisk is a disk whose file the host makes with it.
func (s *session) newDisk(devices object.VirtualDeviceList, controller types.BaseVirtualController, folder string, number int, gib int64) *types.VirtualDeviceConfigSpec {
	file := s.datastore.Path(folder + "/" + furtherFile(number))
	disk := devices.CreateDisk(controller, s.datastore.Reference(), file)
	disk.UnitNumber = new(unitOf(number))
	disk.CapacityInKB = gib << 20
	return &types.VirtualDeviceConfigSpec{
		Operation:     types.VirtualDeviceConfigSpecOperationAdd,
		FileOperation: types.VirtualDeviceConfigSpecFileOperationCreate,
		Device:        disk,
	}
}

// card is a network card on the port group that it names, or on that of the
// configuration. Its address is ours: the host must not judge whether VMware
// has given it out.
func (s *session) card(ctx context.Context, devices object.VirtualDeviceList, nic fleet.NIC) (types.BaseVirtualDevice, error) {
	network, err := s.networkNamed(ctx, nic.Network)
	if err != nil {
		return nil, err
	}
	backing, err := network.EthernetCardBackingInfo(ctx)
	if err != nil {
		return nil, fmt.Errorf("read network: %w", err)
	}
	device, err := devices.CreateEthernetCard("vmxnet3", backing)
	if err != nil {
		return nil, fmt.Errorf("make network card: %w", err)
	}
	card := device.(types.BaseVirtualEthernetCard).GetVirtualEthernetCard()
	card.AddressType, card.MacAddress = string(types.VirtualEthernetCardMacTypeManual), nic.MAC
	return device, nil
}

// sataPorts is how many drives ESXi puts on one SATA controller.
const sataPorts = 30

// furtherISO is a CD drive with an image's ISO in it.
func (s *session) furtherISO(ctx context.Context, devices object.VirtualDeviceList, a drivers.Attachment) ([]types.BaseVirtualDeviceConfigSpec, error) {
	im, held, err := s.manifest(ctx, a.Image)
	if err != nil {
		return nil, err
	}
	if _, iso := im.File(fleet.RoleISO); !held || !iso {
		return nil, fmt.Errorf("image %.12s with an ISO: %w", a.Image, drivers.ErrNotFound)
	}
	number, ok := drivers.ISONumber(a.Name, sataPorts)
	if !ok {
		return nil, drivers.Unfit("no CD drive can be called %q", a.Name)
	}
	controller := devices.PickController((*types.VirtualAHCIController)(nil))
	if controller == nil {
		return nil, drivers.Unfit("the machine has no SATA controller for a CD drive")
	}
	return added(s.cd(devices, controller, int32(number), a.Image)), nil
}

// cd is a drive with the ISO of an image.
func (s *session) cd(devices object.VirtualDeviceList, controller types.BaseVirtualController, unit int32, image string) types.BaseVirtualDevice {
	drive := &types.VirtualCdrom{VirtualDevice: types.VirtualDevice{
		Key:         devices.NewKey(),
		Connectable: driveConnected(),
	}}
	drive.ControllerKey = controller.GetVirtualController().Key
	drive.UnitNumber = &unit
	return devices.InsertIso(drive, s.isoPath(image))
}

// driveConnected is how a drive is that can be booted from.
func driveConnected() *types.VirtualDeviceConnectInfo {
	return &types.VirtualDeviceConnectInfo{StartConnected: true, Connected: true, AllowGuestControl: true}
}

// isoPath is the datastore path of an image's ISO.
func (s *session) isoPath(image string) string {
	return s.datastore.Path(imageFolder(image) + "/" + isoFile)
}

// added are the changes that add devices whose files, if any, are there.
func added(devices ...types.BaseVirtualDevice) []types.BaseVirtualDeviceConfigSpec {
	var changes []types.BaseVirtualDeviceConfigSpec
	for _, device := range devices {
		if device != nil {
			changes = append(changes, &types.VirtualDeviceConfigSpec{Operation: types.VirtualDeviceConfigSpecOperationAdd, Device: device})
		}
	}
	return changes
}
