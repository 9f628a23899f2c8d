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
	network     string // libvirt network, empty for no card
	// Paths on the host; empty for none.
	kernel, initrd, disk, console string
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
		dom.OS.BootDevices = []libvirtxml.DomainBootDevice{{Dev: "hd"}}
	}
	b.flavour.platform(dom, b)
	text, err := dom.Marshal()
	if err != nil {
		return "", fmt.Errorf("write domain XML: %w", err)
	}
	return text, nil
}

func devices(b blueprint) *libvirtxml.DomainDeviceList {
	list := &libvirtxml.DomainDeviceList{}
	if b.disk != "" {
		list.Disks = []libvirtxml.DomainDisk{{
			Device: "disk",
			Driver: &libvirtxml.DomainDiskDriver{Name: "qemu", Type: "qcow2", Discard: "unmap"},
			Source: &libvirtxml.DomainDiskSource{File: &libvirtxml.DomainDiskSourceFile{File: b.disk}},
			Target: &libvirtxml.DomainDiskTarget{Dev: b.flavour.disks + "a", Bus: b.flavour.bus},
		}}
	}
	if b.network != "" {
		list.Interfaces = []libvirtxml.DomainInterface{{
			Source: &libvirtxml.DomainInterfaceSource{Network: &libvirtxml.DomainInterfaceSourceNetwork{Network: b.network}},
		}}
		if b.flavour.card != "" {
			list.Interfaces[0].Model = &libvirtxml.DomainInterfaceModel{Type: b.flavour.card}
		}
	}
	return list
}
