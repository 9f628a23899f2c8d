// Package replicatest makes up the fleet that benchmarks of replicas and of
// the mesh hold: hosts with a hundred instances each, of which every field is
// filled with what a private cloud of that size would have in it.
//
// Names have 14 to 22 bytes; a host runs machines of 25 projects, of which
// there are a tenth as many as hosts; 12 flavors, 12 of 40 images; two
// addresses, one of each kind; four labels, of which one has a value of its
// own in each machine. Every instance has a task and one of eight faults,
// which real ones seldom do.
package replicatest

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"time"

	"grapevine/fleet"
	"grapevine/mesh/wire"
)

// Each is how many instances a host has.
const Each = 100

// Fleet is a fleet of so many hosts. Equal fleets have equal rows.
type Fleet struct{ Hosts int }

// Time is when all was observed.
var Time = time.UnixMilli(1_800_000_000_000).UTC()

// HostID returns the id of host n, from 0 on.
func HostID(n int) fleet.HostID { return fleet.NewUUIDv5(fleet.UUID{7}, fmt.Sprint("host", n)) }

// InstanceID returns the id of instance n of a host, from 0 on.
func InstanceID(host, n int) fleet.InstanceID {
	return fleet.NewUUIDv5(fleet.UUID{8}, fmt.Sprint("vm", host, "-", n))
}

// Projects returns how many projects there are.
func (f Fleet) Projects() int { return max(f.Hosts/10, 1) }

// Project returns the name of project n, from 0 on.
func Project(n int) string { return fmt.Sprintf("customer-%04d", n) }

var (
	roles  = []string{"web-frontend", "postgres", "redis-cache", "build-runner", "kafka-broker", "api-gateway"}
	zones  = []string{"rack-a12", "rack-a13", "rack-b02", "rack-b03"}
	tiers  = []string{"production", "staging", "development"}
	powers = []fleet.Power{fleet.PowerRunning, fleet.PowerRunning, fleet.PowerRunning, fleet.PowerStopped}
	faults = []string{
		"start: no bootable device", "start: cannot allocate memory", "stop: guest did not answer", "reboot: timed out after 60s",
		"resume: device is busy", "pause: guest agent is gone", "start: network is down", "stop: connection was reset",
	}
)

func pick[T any](rng *rand.Rand, list []T) T { return list[rng.IntN(len(list))] }

// UnknownField is a field 500, which no version of this program knows. The
// first instance of every host has it.
var UnknownField = append(binary.AppendUvarint(nil, 500<<3|2), 3, 'n', 'e', 'w')

// Row is what an agent states of its host or of an instance; it converts to
// what a replica's origin takes.
type Row struct {
	wire.Key
	wire.Body
}

// Rows returns what host n states: its own row, then its instances.
func (f Fleet) Rows(n int) []Row {
	rng := rand.New(rand.NewPCG(1, uint64(n))) // from 0 on
	projects := make([]int, 25)
	for i := range projects {
		projects[i] = rng.IntN(f.Projects())
	}
	images := make([]string, 12)
	for i := range images {
		images[i] = fmt.Sprintf("%064x", sha256.Sum256([]byte{byte(rng.IntN(40))}))
	}
	id := HostID(n)
	rows := []Row{{wire.HostKey(id), wire.EncodeHost(host(rng, id, n))}}
	for i := range Each {
		body := wire.EncodeInstance(instance(rng, n, i, projects, images))
		if i == 0 {
			body.Core = append(body.Core, UnknownField...)
		}
		rows = append(rows, Row{wire.InstanceKey(InstanceID(n, i)), body})
	}
	return rows
}

func host(rng *rand.Rand, id fleet.HostID, n int) fleet.Host {
	return fleet.Host{
		ID: id, Name: fmt.Sprintf("hv-%05d", n), Zone: pick(rng, zones), Hypervisor: fleet.KVM, HypervisorVersion: "10.9.0", State: fleet.HostOK,
		Capacity: fleet.NewCapacity(
			fleet.Resources{VCPUs: 256, MemoryMiB: 1 << 20, DiskGiB: 20000},
			fleet.Resources{VCPUs: 2, MemoryMiB: 8192, DiskGiB: 50},
			fleet.Resources{VCPUs: 200, MemoryMiB: 1 << 19, DiskGiB: 10000},
		),
		Instances: Each, Traits: []string{"boot-disk", "boot-kernel", "pause"},
		API: "10.1.2.3:7947", AgentVersion: "v1.0.0", Hardware: "0123456789abcdef", ObservedAt: Time,
	}
}

func instance(rng *rand.Rand, host, n int, projects []int, images []string) fleet.Instance {
	role := pick(rng, roles)
	return fleet.Instance{
		ID: InstanceID(host, n), Name: fmt.Sprintf("%s-%02d-%04x", role, rng.IntN(100), rng.IntN(1<<16)),
		Project: Project(pick(rng, projects)), Hypervisor: fleet.KVM, Ownership: fleet.Managed, Power: pick(rng, powers),
		Task: fleet.TaskSnapshotting, Fault: pick(rng, faults),
		Flavor: fmt.Sprintf("m%d.%dxlarge", rng.IntN(3), 1<<rng.IntN(4)), Image: pick(rng, images),
		VCPUs: 1 << rng.IntN(6), MemoryMiB: 1 << (9 + rng.IntN(8)), DiskGiB: int64(10 + rng.IntN(500)),
		Addresses: []string{
			fmt.Sprintf("10.%d.%d.%d", rng.IntN(256), rng.IntN(256), rng.IntN(256)),
			fmt.Sprintf("fd00:%x:%x::%x", 1+rng.IntN(1<<15), 1+rng.IntN(1<<15), 1+rng.IntN(1<<15)),
		},
		CreatedAt: Time.Add(-time.Duration(rng.IntN(1e9)) * time.Millisecond), ObservedAt: Time,
		Labels: map[string]string{
			"role": role, "zone": pick(rng, zones), "tier": pick(rng, tiers), "ticket": fmt.Sprintf("OPS-%05d", rng.IntN(1e5)),
		},
		Generation: uint64(1 + rng.IntN(5)),
	}
}
