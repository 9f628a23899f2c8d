package placement_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"

	"grapevine/fleet"
)

// newRNG returns a source of randomness that is the same at each run.
func newRNG(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, seed)) }

// hostID numbers test hosts; 0 is not the zero id.
func hostID(n int) fleet.HostID {
	var id fleet.HostID
	binary.BigEndian.PutUint32(id[:], uint32(n+1))
	return id
}

// newHost returns a host that can be heard, with this much free of 100 vCPUs,
// 102400 MiB and 1000 GiB.
func newHost(n int, free fleet.Resources) fleet.Host {
	total := fleet.Resources{VCPUs: 100, MemoryMiB: 102400, DiskGiB: 1000}
	used := fleet.Resources{VCPUs: total.VCPUs - free.VCPUs, MemoryMiB: total.MemoryMiB - free.MemoryMiB, DiskGiB: total.DiskGiB - free.DiskGiB}
	id := hostID(n)
	return fleet.Host{
		ID: id, Name: fmt.Sprintf("host%05d", n), Zone: "z1", Hypervisor: fleet.KVM, State: fleet.HostOK,
		Reachability: fleet.ReachOK, Capacity: fleet.NewCapacity(total, fleet.Resources{}, used),
		Traits: []string{"boot-disk"}, Version: fleet.Version{Host: id, Epoch: 1, Seq: 1},
	}
}

func freeOf(vcpus, memory, disk int64) fleet.Resources {
	return fleet.Resources{VCPUs: vcpus, MemoryMiB: memory, DiskGiB: disk}
}

func request(vcpus, memory, disk int64) *fleet.Request {
	return &fleet.Request{Name: "vm", Resources: freeOf(vcpus, memory, disk)}
}
