package libvirt

import (
	"fmt"

	"libvirt.org/go/libvirtxml"

	"grapevine/drivers"
)

// blueprint is all that a domain's XML is made from.
type blueprint struct {
	name        string
	spec        drivers.Spec
	flavour     *flavour
	accelerator string
	arch        string
	cards       []wiredCard
	disks       []madeDisk
	// Paths on the host; empty for none.
	kernel, initrd, iso, seed, console string
}

// domainXML writes the domain.
func domainXML(b blueprint) (string, error) {
	metadata, err := encodeSpacedMark(b.spec.Mark)
	if err != nil {
		return "", err
	}
	size := b.spec.Resources
	dom := &libvirtxml.Domain{
		Name:     b.name,
		UUID:     b.spec.Mark.ID.String(),
		Title:    printable(b.spec.Mark.Name),
		Metadata: &libvirtxml.DomainMetadata{XML: metadata},
		Memory:   &libvirtxml.DomainMemory{Value: uint(size.MemoryMiB), Unit: "MiB"},
		VCPU:     &libvirtxml.DomainVCPU{Value: uint(size.VCPUs)},
		OS: &libvirtxml.DomainOS{
			Type:   &libvirtxml.DomainOSType{Type: "hvm"},
			Kernel: b.kernel,
			Initrd: b.initrd,
		},
		Clock:      &libvirtxml.DomainClock{Offset: "utc"},
		OnPoweroff: "destroy",
		OnReboot:   "restart",
		OnCrash:    "destroy",
		Devices:    devices(b),
	}
	if b.kernel != "" {
		dom.OS.Cmdline = b.spec.Image.Cmdline
	} else {
		// An empty disk does not boot, and so an installer's CD does, once.
		dom.OS.BootDevices = []libvirtxml.DomainBootDevice{{Dev: "hd"}, {Dev: "cdrom"}}
	}
	b.flavour.platform(dom, b)
	if b.flavour.headroom {
		lay(dom, size)
	}
	text, err := dom.Marshal()
	if err != nil {
		return "", fmt.Errorf("write domain XML: %w", err)
	}
	return text, nil
}

func devices(b blueprint) *libvirtxml.DomainDeviceList {
	list := &libvirtxml.DomainDeviceList{}
	for _, disk := range b.disks {
		list.Disks = append(list.Disks, b.flavour.volumeXML(disk.at, disk.number))
	}
	for _, card := range b.cards {
		list.Interfaces = append(list.Interfaces, b.flavour.cardXML(card))
	}
	return list
}
