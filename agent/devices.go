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

// Devices returns what a machine of this host has attached.
func (l *local) Devices(ctx context.Context, id fleet.InstanceID) (fleet.DeviceList, error) {
	keeper, err := (*Agent)(l).deviceKeeper()
	if err != nil {
		return fleet.DeviceList{}, err
	}
	list, err := keeper.Devices(ctx, id)
	return fleet.DeviceList{Instance: id, Items: list}, (*Agent)(l).machineError("list devices", id, err)
}

// deviceKeeper is the driver with its devices, or why there are none here.
func (a *Agent) deviceKeeper() (drivers.DeviceKeeper, error) {
	return able[drivers.DeviceKeeper](a, drivers.FeatureDevices, "attaches and detaches no devices")
}

// ChangeDevice implements api.Writer for the machines of this host.
func (a *Agent) ChangeDevice(ctx context.Context, id fleet.InstanceID, change fleet.DeviceChange) (fleet.Accepted, error) {
	if err := change.Validate(); err != nil {
		return fleet.Accepted{}, err
	}
	device := drivers.Attachment{Name: change.Name, Kind: change.Device.Kind, SizeGiB: change.Device.SizeGiB}
	// Where the machine is not here begin says so, and better.
	if machine, here := a.observer.Machine(id); here {
		have, err := (*local)(a).Devices(ctx, id)
		if err != nil {
			return fleet.Accepted{}, err
		}
		if err := a.fitsDevices(ctx, &have, &change, &device); err != nil {
			return fleet.Accepted{}, err
		}
		if err := a.fitsPower(machine.Power, change.Verb); err != nil {
			return fleet.Accepted{}, err
		}
	}
	w := &work{verb: string(change.Verb), device: &device}
	return a.begin(ctx, id, w, func(row *fleet.Instance, picture *observer.Picture) error {
		machine, built := picture.Machines[id]
		if err := ours(row, built); err != nil || !built {
			return err
		}
		if more := change.Device.SizeGiB; more > 0 {
			size := machine.Resources
			size.DiskGiB += more
			w.size = &size
		}
		return nil
	})
}

// noDiskChanges says what a machine with snapshots refuses.
const noDiskChanges = "its disks cannot come, grow or go while it does"

// fitsDevices says why a change does not go with what the machine has, and
// fills in what the device is to be called. It leaves in change the GiB that
// the machine is to have more.
func (a *Agent) fitsDevices(ctx context.Context, have *fleet.DeviceList, change *fleet.DeviceChange, device *drivers.Attachment) error {
	if change.Verb == fleet.AttachDevice {
		return a.fitsAttachment(ctx, have, change, device)
	}
	i := slices.IndexFunc(have.Items, func(d fleet.Device) bool { return d.Name == change.Name })
	switch {
	case i < 0:
		return errorf(fleet.CodeNotFound, "instance %s has no device %q; list them with: grapevine instance device list %s", have.Instance, change.Name, have.Instance)
	case change.Verb == fleet.DetachDevice && change.Name == drivers.DiskName(0):
		return errorf(fleet.CodeConflict, "%s is the instance's first disk and stays with it", change.Name)
	case change.Verb == fleet.GrowDisk && have.Items[i].Kind != fleet.DeviceDisk:
		return errorf(fleet.CodeInvalid, "device %s is no disk", change.Name)
	case change.Verb == fleet.GrowDisk && change.Device.SizeGiB < have.Items[i].SizeGiB:
		return errorf(fleet.CodeInvalid, "disk %s has %d GiB and cannot shrink to %d", change.Name, have.Items[i].SizeGiB, change.Device.SizeGiB)
	}
	if device.Kind = have.Items[i].Kind; device.Kind == fleet.DeviceDisk {
		if err := a.noSnapshots(ctx, have.Instance, noDiskChanges); err != nil {
			return err
		}
	}
	if change.Verb == fleet.GrowDisk {
		change.Device.SizeGiB -= have.Items[i].SizeGiB
	}
	return nil
}

// fitsPower says why a change does not go with a machine that is up.
func (a *Agent) fitsPower(power fleet.Power, verb fleet.DeviceVerb) error {
	host := a.observer.Description()
	if verb != fleet.GrowDisk || power == fleet.PowerStopped || slices.Contains(host.Features, drivers.FeatureGrowRunning) {
		return nil
	}
	return errorf(fleet.CodeUnsupported, "the instance is %s, and %s grows disks of stopped ones only: stop it first", power, host.Hypervisor)
}

func (a *Agent) fitsAttachment(ctx context.Context, have *fleet.DeviceList, change *fleet.DeviceChange, device *drivers.Attachment) error {
	request := &change.Device
	count := 0
	for _, d := range have.Items {
		if d.Kind == request.Kind {
			count++
		}
	}
	host := a.observer.Description()
	switch request.Kind {
	case fleet.DeviceDisk:
		// After a revert to a time without it, the disk would be nobody's, and its
		// name free for another.
		if err := a.noSnapshots(ctx, have.Instance, noDiskChanges); err != nil {
			return err
		}
		if count > fleet.MaxDisks {
			return errorf(fleet.CodeConflict, "the instance has %d disks; at most %d are allowed", count, fleet.MaxDisks+1)
		}
	case fleet.DeviceNIC:
		if err := fitsNIC(&host, have, count, request); err != nil {
			return err
		}
		device.NIC = request.Card()
	case fleet.DeviceISO:
		if !slices.Contains(host.Features, drivers.FeatureBootISO) {
			return errorf(fleet.CodeUnsupported, "%s on host %s has no CD drives for its machines", host.Hypervisor, a.name())
		}
		im, err := a.ImageNamed(ctx, request.Image)
		if err != nil {
			return err
		}
		if _, iso := im.File(fleet.RoleISO); !iso {
			return errorf(fleet.CodeInvalid, "image %s is no ISO; import it with: grapevine image import --iso FILE", im.Name)
		}
		device.Image = im.ID
	}
	device.Name = drivers.FreeDeviceName(have.Items, request)
	return nil
}

// fitsNIC says why a card cannot be attached, and gives it an address.
func fitsNIC(host *drivers.Description, have *fleet.DeviceList, count int, request *fleet.AttachRequest) error {
	taken := func(mac string) bool {
		return slices.ContainsFunc(have.Items, func(d fleet.Device) bool { return d.Name == mac })
	}
	switch {
	case !slices.Contains(host.Networks, request.Network):
		return errorf(fleet.CodeInvalid, "the host has no network %q; it has %q", request.Network, host.Networks)
	case request.VLAN != 0 && !slices.Contains(host.Features, drivers.FeatureVLAN):
		return errorf(fleet.CodeUnsupported, "%s tags no network cards with a VLAN; name a network that has it", host.Hypervisor)
	case count >= fleet.MaxNICs:
		return errorf(fleet.CodeConflict, "the instance has %d network cards; at most %d are allowed", count, fleet.MaxNICs)
	case request.MAC != "" && taken(request.MAC):
		return errorf(fleet.CodeConflict, "the instance has a network card with the MAC address %s already", request.MAC)
	}
	for n := 0; request.MAC == ""; n++ {
		if mac := fleet.MACAddress(have.Instance, n); !taken(mac) {
			request.MAC = mac
		}
	}
	return nil
}

// device does what the operation says to a device.
func (a *Agent) device(ctx context.Context, op *journal.Operation) error {
	keeper, err := a.deviceKeeper()
	if err != nil {
		return err
	}
	if op.Device == nil {
		return fmt.Errorf("%s: %w", op.Verb, drivers.ErrUnsupported)
	}
	switch fleet.DeviceVerb(op.Verb) {
	case fleet.AttachDevice:
		err = a.attachDevice(ctx, keeper, op)
	case fleet.DetachDevice:
		err = keeper.DetachDevice(ctx, op.Instance, op.Device.Name)
	default:
		err = keeper.GrowDisk(ctx, op.Instance, op.Device.Name, op.Device.SizeGiB)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", op.Verb, err)
	}
	return nil
}

// attachDevice brings the image here that is to lie in a CD drive, where it is not.
func (a *Agent) attachDevice(ctx context.Context, keeper drivers.DeviceKeeper, op *journal.Operation) error {
	if op.Device.Image != "" {
		done, err := a.shelf.use(ctx, op.Device.Image)
		if err != nil {
			return err
		}
		defer done()
		if _, err := a.obtain(ctx, op, op.Device.Image); err != nil {
			return err
		}
	}
	return keeper.AttachDevice(ctx, op.Instance, *op.Device)
}
