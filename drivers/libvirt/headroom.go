package libvirt

import (
	"fmt"

	"libvirt.org/go/libvirtxml"

	"grapevine/drivers"
	"grapevine/fleet"
)

// A machine takes more while it runs only as far as it was built for.
const (
	// A Linux guest sets 244 KiB aside for each processor that may come:
	// four times what it has, and no more than 32 where it has fewer.
	vcpuHeadroom = 4
	vcpuBound    = 32
	// Memory that is plugged in lies above 4 GiB, and a guest that may get memory
	// there sets 64 MiB aside for devices that cannot reach it (swiotlb). Machines
	// of lowMemoryMiB and more have memory there from the start, for that is where
	// QEMU's q35 splits it, and pay already; only they get room for more.
	memoryHeadroom = 4
	lowMemoryMiB   = 2816
	// memorySlots is how often a machine can be given more memory before it has
	// to be stopped; an empty slot costs nothing.
	memorySlots = 16
)

// mostVCPUs is how many processors a machine of so many may have while it runs.
// QEMU's machines for other architectures take none then.
func mostVCPUs(n int64, arch string) int64 {
	if arch != "x86_64" {
		return n
	}
	return max(n, min(n*vcpuHeadroom, vcpuBound))
}

// mostMemory is how much memory a machine of so much may have while it runs, 0
// for no more than that.
func mostMemory(mib int64, arch string) int64 {
	if arch != "x86_64" || mib < lowMemoryMiB {
		return 0
	}
	return mib * memoryHeadroom
}

// lay gives a machine that Build makes, or made, its processors and its memory,
// with room for more.
func lay(dom *libvirtxml.Domain, size fleet.Resources) {
	most := mostVCPUs(size.VCPUs, dom.OS.Type.Arch)
	dom.VCPU, dom.VCPUs = &libvirtxml.DomainVCPU{Value: uint(most)}, nil
	if most > size.VCPUs {
		dom.VCPU.Current = uint(size.VCPUs)
	}
	dom.Memory, dom.CurrentMemory = &libvirtxml.DomainMemory{Value: uint(size.MemoryMiB), Unit: "MiB"}, nil
	dom.MaximumMemory, dom.Devices.Memorydevs = nil, nil
	if dom.CPU != nil {
		dom.CPU.Numa = nil
	}
	memory := mostMemory(size.MemoryMiB, dom.OS.Type.Arch)
	if memory == 0 {
		return
	}
	dom.MaximumMemory = &libvirtxml.DomainMaxMemory{Value: uint(memory), Unit: "MiB", Slots: memorySlots}
	if dom.CPU == nil {
		dom.CPU = &libvirtxml.DomainCPU{}
	}
	// QEMU plugs memory into NUMA nodes alone.
	dom.CPU.Numa = &libvirtxml.DomainNuma{Cell: []libvirtxml.DomainCell{{
		ID: new(uint), CPUs: fmt.Sprintf("0-%d", most-1), Memory: uint(size.MemoryMiB), Unit: "MiB",
	}}}
}

// relay gives a stopped machine another size. One that somebody else laid out
// gets no room for more, and is left alone where its memory has parts.
func relay(dom *libvirtxml.Domain, size fleet.Resources, built bool) error {
	switch {
	case built:
		lay(dom, size)
		return nil
	case dom.CPU != nil && dom.CPU.Numa != nil, dom.Devices != nil && len(dom.Devices.Memorydevs) > 0, dom.MaximumMemory != nil:
		return drivers.Unfit("its memory has parts (NUMA cells, or devices)")
	default:
		dom.VCPU, dom.VCPUs = &libvirtxml.DomainVCPU{Value: uint(size.VCPUs)}, nil
		dom.Memory, dom.CurrentMemory = &libvirtxml.DomainMemory{Value: uint(size.MemoryMiB), Unit: "MiB"}, nil
		return nil
	}
}

// takes says why a domain that runs cannot be given this size.
func (s *seenDomain) takes(size fleet.Resources) error {
	if size.VCPUs > s.VCPU.Most {
		return drivers.Unfit("it was built for at most %d vCPUs while it runs", s.VCPU.Most)
	}
	more := size.MemoryMiB - s.Memory.mib()
	if more <= 0 {
		return nil
	}
	most, step := s.MaxMemory.mib(), memoryStep(size.MemoryMiB)
	switch {
	case most == 0:
		return drivers.Unfit("it was built without room for more memory while it runs; machines of %d MiB and more have it", lowMemoryMiB)
	case size.MemoryMiB > most:
		return drivers.Unfit("it was built for at most %d MiB of memory while it runs", most)
	case len(s.Memories) >= s.MaxMemory.Slots:
		return drivers.Unfit("it was given more memory %d times, and has to be stopped before it gets more", len(s.Memories))
	case more%step != 0:
		return drivers.Unfit("while it runs its memory grows by a multiple of %d MiB, and not by %d", step, more)
	default:
		return nil
	}
}

// memoryStep is what Linux takes memory in by, on x86: larger blocks from 64
// GiB on.
func memoryStep(mib int64) int64 {
	if mib >= 64<<10 {
		return 2 << 10
	}
	return 128
}

// stick is memory as it is plugged in.
func stick(mib int64) *libvirtxml.DomainMemorydev {
	return &libvirtxml.DomainMemorydev{
		Model: "dimm",
		Target: &libvirtxml.DomainMemorydevTarget{
			Size: &libvirtxml.DomainMemorydevTargetSize{Value: uint(mib), Unit: "MiB"},
			Node: &libvirtxml.DomainMemorydevTargetNode{},
		},
	}
}
