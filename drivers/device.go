package drivers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"grapevine/fleet"
)

const (
	// FeatureDevices says that the driver is a DeviceKeeper.
	FeatureDevices Feature = "devices"
	// FeatureGrowRunning says that it grows disks of machines that run. Without
	// it a machine has to be stopped for that.
	FeatureGrowRunning Feature = "grow-running"
)

// DeviceKeeper is a driver that attaches devices to machines, running or not,
// and takes them off again.
type DeviceKeeper interface {
	// Devices lists what a machine has: disks, then network cards, then CDs; of
	// one kind by name. Machines of others are listed as far as these words go.
	Devices(ctx context.Context, id fleet.InstanceID) ([]fleet.Device, error)
	// AttachDevice gives a managed machine a further device and returns when the
	// hypervisor has it; whether the guest takes notice is the guest's business.
	// A device that is there under the same name is not attached again: so it can
	// be repeated after a crash.
	AttachDevice(ctx context.Context, id fleet.InstanceID, device Attachment) error
	// DetachDevice takes a device off a managed machine, and removes the disk
	// that AttachDevice or Build made for it: what was on it is lost. One that is
	// not there is no error. The first disk stays. A running guest that does not
	// let go of it makes this an error, with the device as it was.
	DetachDevice(ctx context.Context, id fleet.InstanceID, name string) error
	// GrowDisk makes a disk of a managed machine so large; one that is as large
	// already is left alone, and one that is larger is an error. While the machine
	// runs, this is ErrUnsupported without FeatureGrowRunning.
	GrowDisk(ctx context.Context, id fleet.InstanceID, name string, gib int64) error
}

// Attachment is a device to attach, with the name that it is to have; whoever
// asks picks one that is free: see FreeDeviceName.
type Attachment struct {
	Name    string           `json:"name"`
	Kind    fleet.DeviceKind `json:"kind"`
	SizeGiB int64            `json:"size_gib,omitempty"`
	NIC     fleet.NIC        `json:"nic,omitzero"`
	Image   string           `json:"image,omitempty"` // id of an image with an ISO file
}

// DiskName names a machine's disk with this number, from 0; ISOName a CD.
func DiskName(n int) string { return fmt.Sprintf("disk-%d", n) }

// ISOName names a machine's CD drive with this number, from 0.
func ISOName(n int) string { return fmt.Sprintf("iso-%d", n) }

// DiskNumber returns the number of a disk of this name; false where a disk that
// is attached cannot be called so.
func DiskNumber(name string) (number int, ok bool) {
	return numbered(name, "disk-", fleet.MaxDisks)
}

// ISONumber returns the number of a CD drive of this name, of so many.
func ISONumber(name string, drives int) (number int, ok bool) {
	return numbered(name, "iso-", drives-1)
}

func numbered(name, prefix string, most int) (number int, ok bool) {
	digits, ok := strings.CutPrefix(name, prefix)
	number, err := strconv.Atoi(digits)
	return number, ok && err == nil && number >= 0 && number <= most
}

// FreeDeviceName returns the name that a further device of a machine gets: of
// the disks and CDs the lowest free number, of network cards the MAC address.
func FreeDeviceName(have []fleet.Device, request *fleet.AttachRequest) string {
	taken := func(name string) bool {
		return slices.ContainsFunc(have, func(d fleet.Device) bool { return d.Name == name })
	}
	name, n := DiskName, 1 // disk-0 is the machine's own, also of one that has none
	switch request.Kind {
	case fleet.DeviceNIC:
		return request.MAC
	case fleet.DeviceISO:
		name, n = ISOName, 0
	case fleet.DeviceDisk:
	}
	for taken(name(n)) {
		n++
	}
	return name(n)
}

// ErrFirstDisk says that the first disk is the machine's own and stays with it.
var ErrFirstDisk = errors.New("the first disk of a machine cannot be detached")

// OrderDevices puts devices into the order of DeviceKeeper.Devices.
func OrderDevices(devices []fleet.Device) {
	rank := map[fleet.DeviceKind]int{fleet.DeviceDisk: 0, fleet.DeviceNIC: 1, fleet.DeviceISO: 2}
	slices.SortFunc(devices, func(a, b fleet.Device) int {
		// disk-10 comes after disk-9.
		return cmp.Or(rank[a.Kind]-rank[b.Kind], len(a.Name)-len(b.Name), strings.Compare(a.Name, b.Name))
	})
}

// Growable says why a disk of have GiB cannot become so large.
func Growable(have, gib int64) error {
	if gib < have {
		return Unfit("its %d GiB cannot shrink to %d", have, gib)
	}
	return nil
}
