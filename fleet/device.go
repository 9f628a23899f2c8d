package fleet

import "fmt"

// DeviceKind is what a device is to its machine.
type DeviceKind string

// The kinds of devices that can be attached and detached.
const (
	DeviceDisk DeviceKind = "disk"
	DeviceNIC  DeviceKind = "nic"
	DeviceISO  DeviceKind = "iso"
)

// Device is a disk, a network card or a CD of a machine.
type Device struct {
	Kind DeviceKind `json:"kind"`
	// Name tells it from the others of its machine, and stays as long as it is
	// attached: disk-0 is the first disk, a network card has its MAC address.
	Name    string `json:"name"`
	SizeGiB int64  `json:"size_gib,omitempty"` // of a disk, as the guest sees it
	Network string `json:"network,omitempty"`  // of a network card
	VLAN    int    `json:"vlan,omitempty"`
	// Image is the id of the image in a CD drive; empty for a cloud-init seed and
	// for what others have put there.
	Image string `json:"image,omitempty"`
}

// DeviceList is what a machine has attached: disks, then network cards, then
// CDs.
type DeviceList struct {
	Instance InstanceID `json:"instance"`
	Items    []Device   `json:"items"`
}

// DeviceVerb is what is done to a device. It is the verb of the operation that
// does it.
type DeviceVerb string

// The verbs.
const (
	AttachDevice DeviceVerb = "attach-device"
	DetachDevice DeviceVerb = "detach-device"
	GrowDisk     DeviceVerb = "grow-disk"
)

// Known reports whether the verb is one of the three.
func (v DeviceVerb) Known() bool { return v == AttachDevice || v == DetachDevice || v == GrowDisk }

// DeviceChange attaches a device to a machine, detaches it, or grows a disk.
type DeviceChange struct {
	Verb DeviceVerb
	// Name is the device to detach or to grow.
	Name   string
	Device AttachRequest // of AttachDevice; of GrowDisk only SizeGiB
}

// AttachRequest is a device to attach, the body of a request for one.
type AttachRequest struct {
	Kind    DeviceKind `json:"kind" enum:"disk,nic,iso"`
	SizeGiB int64      `json:"size_gib,omitempty"` // of an empty disk
	// Network, VLAN and MAC are those of a network card, as in NIC.
	Network string `json:"network,omitempty"`
	VLAN    int    `json:"vlan,omitempty"`
	MAC     string `json:"mac,omitempty"`
	Image   string `json:"image,omitempty"` // of a CD: id, or a name that matches one digest
}

// Card is the network card that is asked for.
func (d *AttachRequest) Card() NIC { return NIC{Network: d.Network, VLAN: d.VLAN, MAC: d.MAC} }

// GrowRequest is the body of a request for a larger disk.
type GrowRequest struct {
	SizeGiB int64 `json:"size_gib"`
}

// Validate judges a change as a person sent it.
func (c *DeviceChange) Validate() error {
	bad := func(format string, args ...any) error {
		return &Error{Code: CodeInvalid, Detail: fmt.Sprintf(format, args...)}
	}
	if !c.Verb.Known() {
		return bad("device verb %.40q is not known", string(c.Verb))
	}
	if c.Verb != AttachDevice {
		if err := CheckName("device", c.Name); err != nil {
			return err
		}
	}
	if c.Verb == GrowDisk {
		return CheckDisks([]Disk{{SizeGiB: c.Device.SizeGiB}})
	}
	if c.Verb == DetachDevice {
		return nil
	}
	return c.Device.validate()
}

func (d *AttachRequest) validate() error {
	bad := func(format string, args ...any) error {
		return &Error{Code: CodeInvalid, Detail: fmt.Sprintf(format, args...)}
	}
	disk, nic, iso := d.SizeGiB != 0, d.Card() != NIC{}, d.Image != ""
	switch d.Kind {
	case DeviceDisk:
		if nic || iso {
			return bad("a disk has size_gib and nothing else")
		}
		return CheckDisks([]Disk{{SizeGiB: d.SizeGiB}})
	case DeviceNIC:
		if disk || iso {
			return bad("a network card has network, vlan and mac and nothing else")
		}
		if d.Network == NoNetwork {
			return bad("network %q stands for no network card; name a network", NoNetwork)
		}
		return CheckNICs([]NIC{d.Card()})
	case DeviceISO:
		if disk || nic || !iso {
			return bad("a CD has image and nothing else")
		}
		return nil
	default:
		return bad("device kind %.40q is not one of disk, nic, iso", string(d.Kind))
	}
}
