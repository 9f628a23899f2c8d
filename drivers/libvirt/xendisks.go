package libvirt

import (
	"fmt"
	"slices"

	"libvirt.org/go/libvirtxml"

	"grapevine/drivers"
	"grapevine/fleet"
)

// drivePlace is where the CD drive of an HVM guest is, among its disks: the
// last of the four places that a PC has on its IDE. Disks go on after it.
const drivePlace = 3

// xenDisks wires the disks of an HVM guest. Firmware boots from what a PC has;
// the guest's own drivers take the same disk over as Xen's. Those after the
// first are Xen's, for only such can come and go while the guest runs; firmware
// and guests without a driver see the two on the PC's places too.
func xenDisks(dom *libvirtxml.Domain, b blueprint) {
	for i, disk := range b.disks {
		to := &dom.Devices.Disks[i]
		to.Target.Dev = b.flavour.disks + letter(drivenPlace(disk.number))
		if disk.number == 0 {
			to.Target = &libvirtxml.DomainDiskTarget{Dev: "hda", Bus: "ide"}
		}
	}
}

// addXenSeed adds what cloud-init reads.
func addXenSeed(dom *libvirtxml.Domain, b blueprint) {
	if b.seed != "" {
		dom.Devices.Disks = append(dom.Devices.Disks, b.flavour.seedXML(b.seed))
	}
}

// xenRescues: a domain stays the kind of guest that it is, which boots a kernel
// or a disk, and no CD.
func xenRescues(dom *libvirtxml.Domain, im *fleet.Image) error {
	if _, iso := im.File(fleet.RoleISO); iso {
		return fmt.Errorf("%w: image %s is a CD", drivers.ErrUnsupported, im.Name)
	}
	boots := dom.OS != nil && dom.OS.Type != nil && dom.OS.Type.Type != "hvm"
	if boots == im.BootsKernel() {
		return nil
	}
	return drivers.Unfit("of machine and image %s only one boots a kernel, and they are guests of two kinds to Xen; name an image like the machine's own", im.Name)
}

// xenRescue: an HVM guest's firmware boots the first disk, and nothing can be
// said of another. So that one makes way, to where the disk of a rescue is with
// others. A PV guest boots its kernel, and has the disk beside.
func xenRescue(def *definition, disk libvirtxml.DomainDisk) {
	if first := def.at("hda"); first != nil {
		disk.Target, first.Target = first.Target, disk.Target
	}
	def.xml.Devices.Disks = append(def.xml.Devices.Disks, disk)
}

// madeWay: the first disk is where xenRescue has put it.
func (s *seenDomain) madeWay() bool {
	return slices.ContainsFunc(s.Disks, func(disk seenDisk) bool { return disk.Target.Dev == "hda" && disk.isHidden() })
}

// at is the domain's disk at a place, nil where none is.
func (def *definition) at(dev string) *libvirtxml.DomainDisk {
	for i, disk := range def.xml.Devices.Disks {
		if disk.Target != nil && disk.Target.Dev == dev {
			return &def.xml.Devices.Disks[i]
		}
	}
	return nil
}

// drivenPlace is the place of a machine's disk with this number, beside a CD
// drive.
func drivenPlace(number int) int {
	if number < drivePlace {
		return number
	}
	return number + 1
}

// driven: the place of the CD drive is kept free of disks. Somebody else may
// have put one there.
func (s *seenDomain) driven() bool {
	if s.Type != "xen" || s.OS.Type != "hvm" {
		return false
	}
	return !slices.ContainsFunc(s.Disks, func(disk seenDisk) bool {
		place, ok := disk.letter()
		return ok && place == drivePlace && disk.Device != "cdrom"
	})
}

// diskPlace is where the machine's disk with this number is.
func (s *seenDomain) diskPlace(number int) int {
	if s.driven() {
		return drivenPlace(number)
	}
	return number
}

// nameOf is disk-0 for vda, hda and so on, iso-1 for a CD drive sdb; none for
// what is neither.
func (s *seenDomain) nameOf(disk *seenDisk) (string, bool) {
	place, ok := disk.letter()
	switch {
	case !ok, disk.isHidden():
		return "", false
	case disk.Device == "cdrom" && s.Type == "xen" && place <= drivePlace:
		return drivers.ISOName(drivePlace - place), true // from the last on
	case disk.Device == "cdrom":
		return drivers.ISOName(place), true
	case place == rescueLetter && s.madeWay():
		return drivers.DiskName(0), true
	case s.driven() && place > drivePlace:
		return drivers.DiskName(place - 1), true
	default:
		return drivers.DiskName(place), true
	}
}
