package libvirt

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"libvirt.org/go/libvirtxml"

	"grapevine/drivers"
	"grapevine/fleet"
)

// laid is a domain of this size, as one that runs shows itself with so many
// sticks of memory plugged in.
func laid(t *testing.T, size fleet.Resources, sticks int) *seenDomain {
	t.Helper()
	dom := &libvirtxml.Domain{OS: &libvirtxml.DomainOS{Type: &libvirtxml.DomainOSType{Arch: "x86_64"}}, Devices: &libvirtxml.DomainDeviceList{}}
	lay(dom, size)
	for range sticks {
		dom.Devices.Memorydevs = append(dom.Devices.Memorydevs, *stick(128))
	}
	text, err := dom.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	// Libvirt itself always writes KiB.
	seen, err := parseDomain(text)
	if err != nil {
		t.Fatal(err)
	}
	return seen
}

func TestRunningMachineTakesWhatItWasBuiltFor(t *testing.T) {
	small, large := fleet.Resources{VCPUs: 1, MemoryMiB: 2048}, fleet.Resources{VCPUs: 2, MemoryMiB: 4096}
	for _, tt := range []struct {
		name   string
		has    fleet.Resources
		sticks int
		size   fleet.Resources
		want   string // in the refusal; empty for none
	}{
		{"vCPUs up to four times", small, 0, fleet.Resources{VCPUs: 4, MemoryMiB: 2048}, ""},
		{"more vCPUs than that", small, 0, fleet.Resources{VCPUs: 5, MemoryMiB: 2048}, "at most 4 vCPUs"},
		{"memory of one that has none above 4 GiB", small, 0, fleet.Resources{VCPUs: 1, MemoryMiB: 3072}, "without room for more memory"},
		{"memory up to four times", large, 0, fleet.Resources{VCPUs: 2, MemoryMiB: 16384}, ""},
		{"more memory than that", large, 0, fleet.Resources{VCPUs: 2, MemoryMiB: 16512}, "at most 16384 MiB"},
		{"memory by an odd step", large, 0, fleet.Resources{VCPUs: 2, MemoryMiB: 4196}, "a multiple of 128 MiB"},
		{"memory with every slot taken", large, memorySlots, fleet.Resources{VCPUs: 2, MemoryMiB: 8192}, "16 times"},
		{"vCPUs with every slot taken", large, memorySlots, fleet.Resources{VCPUs: 4, MemoryMiB: 4096}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := laid(t, tt.has, tt.sticks).takes(tt.size)
			if tt.want == "" && err != nil || tt.want != "" && (!errors.Is(err, drivers.ErrUnsupported) || !strings.Contains(fmt.Sprint(err), tt.want)) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestRoomForMoreIsBounded(t *testing.T) {
	for n, want := range map[int64]int64{1: 4, 8: 32, 9: 32, 32: 32, 100: 100} {
		if got := mostVCPUs(n, "x86_64"); got != want {
			t.Errorf("%d vCPUs may become %d, want %d", n, got, want)
		}
	}
	if vcpus, mib := mostVCPUs(2, "aarch64"), mostMemory(8192, "aarch64"); vcpus != 2 || mib != 0 {
		t.Errorf("on aarch64 it may have %d vCPUs and %d MiB, want no room for more", vcpus, mib)
	}
}

func TestAdoptedMachineIsLaidOutAsItsOwnerDid(t *testing.T) {
	dom := &libvirtxml.Domain{Devices: &libvirtxml.DomainDeviceList{}}
	size := fleet.Resources{VCPUs: 2, MemoryMiB: 4096}
	if err := relay(dom, size, false); err != nil || dom.VCPU.Value != 2 || dom.VCPU.Current != 0 || dom.MaximumMemory != nil {
		t.Errorf("got %+v and %v, want the size alone", dom.VCPU, err)
	}
	dom.CPU = &libvirtxml.DomainCPU{Numa: &libvirtxml.DomainNuma{}}
	if err := relay(dom, size, false); !errors.Is(err, drivers.ErrUnsupported) {
		t.Errorf("one with NUMA cells: got %v, want ErrUnsupported", err)
	}
}
