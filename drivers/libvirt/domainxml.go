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
	platform(dom, b.accelerator, b.arch)
	text, err := dom.Marshal()
	if err != nil {
		return "", fmt.Errorf("write domain XML: %w", err)
	}
	return text, nil
}

func devices(b blueprint) *libvirtxml.DomainDeviceList {
	port := uint(0)
	list := &libvirtxml.DomainDeviceList{
		Serials: []libvirtxml.DomainSerial{{
			Source: &libvirtxml.DomainChardevSource{Pty: &libvirtxml.DomainChardevSourcePty{}},
			Target: &libvirtxml.DomainSerialTarget{Port: &port},
			Log:    &libvirtxml.DomainChardevLog{File: b.console, Append: "on"},
		}},
		RNGs: []libvirtxml.DomainRNG{{
			Model:   "virtio",
			Backend: &libvirtxml.DomainRNGBackend{Random: &libvirtxml.DomainRNGBackendRandom{Device: "/dev/urandom"}},
		}},
		MemBalloon: &libvirtxml.DomainMemBalloon{Model: "virtio"},
	}
	if b.disk != "" {
		list.Disks = []libvirtxml.DomainDisk{{
			Device: "disk",
			Driver: &libvirtxml.DomainDiskDriver{Name: "qemu", Type: "qcow2", Discard: "unmap"},
			Source: &libvirtxml.DomainDiskSource{File: &libvirtxml.DomainDiskSourceFile{File: b.disk}},
			Target: &libvirtxml.DomainDiskTarget{Dev: "vda", Bus: "virtio"},
		}}
	}
	if b.network != "" {
		list.Interfaces = []libvirtxml.DomainInterface{{
			Source: &libvirtxml.DomainInterfaceSource{Network: &libvirtxml.DomainInterfaceSourceNetwork{Network: b.network}},
			Model:  &libvirtxml.DomainInterfaceModel{Type: "virtio"},
		}}
	}
	return list
}
