package libvirt

import (
	"libvirt.org/go/libvirtxml"

	"grapevine/fleet"
)

// diskXML is a machine's disk at this place, from 0, in a qcow2 file.
func (f *flavour) diskXML(path string, place int) libvirtxml.DomainDisk {
	return libvirtxml.DomainDisk{
		Device: "disk",
		Driver: &libvirtxml.DomainDiskDriver{Name: "qemu", Type: "qcow2", Discard: "unmap"},
		Source: &libvirtxml.DomainDiskSource{File: &libvirtxml.DomainDiskSourceFile{File: path}},
		Target: &libvirtxml.DomainDiskTarget{Dev: f.disks + letter(place), Bus: f.bus},
	}
}

// volumeXML is a machine's disk at this place.
func (f *flavour) volumeXML(at lair, place int) libvirtxml.DomainDisk {
	disk := f.diskXML(at.path, place)
	f.lie(&disk, at)
	return disk
}

// lie lets a disk lie elsewhere than it does. A block device is the disk.
func (f *flavour) lie(disk *libvirtxml.DomainDisk, at lair) {
	disk.Source, disk.BackingStore = sourceOf(at), nil // that of the old one, where it was told
	name, format := "qemu", fleet.FormatQCOW2
	if at.blocks {
		name, format = f.blocks, fleet.FormatRaw
	}
	if disk.Driver == nil || disk.Driver.Name != name || disk.Driver.Type != format {
		disk.Driver = &libvirtxml.DomainDiskDriver{Name: name, Type: format, Discard: "unmap"}
	}
}

func sourceOf(at lair) *libvirtxml.DomainDiskSource {
	if at.blocks {
		return &libvirtxml.DomainDiskSource{Block: &libvirtxml.DomainDiskSourceBlock{Dev: at.path}}
	}
	return &libvirtxml.DomainDiskSource{File: &libvirtxml.DomainDiskSourceFile{File: at.path}}
}

// The CD drives of a machine are SATA's, of which a Q35's controller has six.
// firstDrive is there from the start, without a CD: a drive cannot be plugged
// into a machine that runs, and a CD can be put into it.
const (
	firstDrive = 0
	drives     = 6
)

// sataDrive is where the CD drive with this number is.
func sataDrive(number int) libvirtxml.DomainDiskTarget {
	return libvirtxml.DomainDiskTarget{Dev: "sd" + letter(number), Bus: "sata"}
}

// driveXML is a CD drive at a place; without a path it is empty.
func driveXML(path string, at libvirtxml.DomainDiskTarget) libvirtxml.DomainDisk {
	drive := libvirtxml.DomainDisk{
		Device:   "cdrom",
		Driver:   &libvirtxml.DomainDiskDriver{Name: "qemu", Type: "raw"},
		Target:   &at,
		ReadOnly: &libvirtxml.DomainDiskReadOnly{},
	}
	if path != "" {
		drive.Source = &libvirtxml.DomainDiskSource{File: &libvirtxml.DomainDiskSourceFile{File: path}}
	}
	return drive
}

// lastLetter is the number of the last device that has one letter.
const lastLetter = 25

// letter ends a device's name: a for 0.
func letter(number int) string { return string(rune('a' + number)) }

// wiredCard is a network card and how it is wired.
type wiredCard struct {
	fleet.NIC
	bridge bool // Network is a bridge of the system, not a network of libvirt's
}

// nicsOf are the cards without how they are wired.
func nicsOf(cards []wiredCard) []fleet.NIC {
	nics := make([]fleet.NIC, len(cards))
	for i := range cards {
		nics[i] = cards[i].NIC
	}
	return nics
}

func (f *flavour) cardXML(card wiredCard) libvirtxml.DomainInterface {
	source := &libvirtxml.DomainInterfaceSource{Network: &libvirtxml.DomainInterfaceSourceNetwork{Network: card.Network}}
	if card.bridge {
		source = &libvirtxml.DomainInterfaceSource{Bridge: &libvirtxml.DomainInterfaceSourceBridge{Bridge: card.Network}}
	}
	nic := libvirtxml.DomainInterface{Source: source, MAC: &libvirtxml.DomainInterfaceMAC{Address: card.MAC}}
	if f.card != "" {
		nic.Model = &libvirtxml.DomainInterfaceModel{Type: f.card}
	}
	if card.VLAN != 0 {
		nic.VLan = &libvirtxml.DomainInterfaceVLan{Tags: []libvirtxml.DomainInterfaceVLanTag{{ID: uint(card.VLAN)}}}
	}
	return nic
}

// sparePorts is how many devices can be plugged into a running machine: each
// takes a PCI Express port of its own, which must be there from the start.
// ownPorts is how many the console's channel, the balloon, the generator of
// random numbers and USB take.
const (
	sparePorts = 8
	ownPorts   = 4
)

// portsXML are the ports of a machine that has so many disks and cards.
func portsXML(taken int) []libvirtxml.DomainController {
	ports := make([]libvirtxml.DomainController, sparePorts+ownPorts+taken)
	for i := range ports {
		ports[i] = libvirtxml.DomainController{Type: "pci", Model: "pcie-root-port", Index: new(uint(i + 1))} // 0 is the root
	}
	return ports
}

// hasDrives: CD drives are SATA's, which a PC has.
func hasDrives(arch string) bool { return arch == "x86_64" }

// kvmDrives adds the CD drive, and what cloud-init reads.
func kvmDrives(dom *libvirtxml.Domain, b blueprint) {
	if hasDrives(b.arch) {
		dom.Devices.Disks = append(dom.Devices.Disks, driveXML(b.iso, sataDrive(firstDrive)))
	}
	if b.seed != "" {
		dom.Devices.Disks = append(dom.Devices.Disks, b.flavour.seedXML(b.seed))
	}
}

// seedXML is what cloud-init reads, a disk after all others: kernels made for
// clouds, as Debian's is, know neither SATA nor IDE.
func (f *flavour) seedXML(path string) libvirtxml.DomainDisk {
	seed := f.diskXML(path, lastLetter)
	seed.Driver = &libvirtxml.DomainDiskDriver{Name: "qemu", Type: "raw"}
	if f.locksSeed {
		seed.ReadOnly = &libvirtxml.DomainDiskReadOnly{}
	}
	return seed
}
