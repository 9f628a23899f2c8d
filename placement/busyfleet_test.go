package placement_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"

	"grapevine/fleet"
	"grapevine/placement"
)

// busyFleet is a fleet as placement meets it: three sizes of hosts, three
// hypervisors, eight zones and three sets of traits, which makes 72 classes,
// and machines of four flavors that ask for hypervisor, zone and trait.
type busyFleet struct {
	tb     testing.TB
	how    fleet.Strategy
	rng    *rand.Rand
	hosts  []busyHost // the truth
	index  *placement.Index
	wanted []wish // drawn from, over and over
	placed []machine
	memory int64 // MiB of all hosts
	used   int64 // MiB of memory
}

// busyHost is a host's truth. Rows are made of it on the spot, as a row that
// the mesh has brought comes fresh from its decoder.
type busyHost struct {
	name                     string
	gib                      int64 // of memory; a vCPU for two of them, ten of disk for each
	hypervisor, zone, traits uint8 // which
	seq                      uint64
	used                     fleet.Resources
}

// machine is one that was placed.
type machine struct{ host, wish int32 }

// wish is what a request asks for: which flavor, hypervisor, traits, and which
// zone, or none when past the last.
type wish struct{ flavor, hypervisor, traits, zone uint8 }

var (
	zones = []string{"zone-a", "zone-b", "zone-c", "zone-d", "zone-e", "zone-f", "zone-g", "zone-h"}
	// Three in five hosts and requests are of KVM, one in five of Xen and ESXi.
	hypervisors = []fleet.Hypervisor{fleet.KVM, fleet.KVM, fleet.KVM, fleet.Xen, fleet.ESXi}
	traitSets   = [][]string{{"boot-disk"}, {"boot-disk", "boot-kernel"}, {"boot-disk", "boot-kernel", "console"}}
	// One request in ten asks for what a third of the hosts can do.
	askedTraits = [][]string{
		{"boot-disk"},
		{"boot-disk"},
		{"boot-disk"},
		{"boot-disk"},
		{"boot-disk"},
		{"boot-disk"},
		{"boot-kernel"},
		{"boot-kernel"},
		{"boot-kernel"},
		{"boot-disk", "console"},
	}
	flavors = []fleet.Resources{freeOf(1, 2048, 20), freeOf(1, 2048, 20), freeOf(2, 4096, 40), freeOf(2, 4096, 40), freeOf(4, 8192, 80), freeOf(8, 32768, 160)}
)

func newBusyFleet(tb testing.TB, hosts int, how fleet.Strategy) *busyFleet {
	tb.Helper()
	f := &busyFleet{tb: tb, how: how, rng: newRNG(11), hosts: make([]busyHost, hosts), index: placement.NewIndex(nil)}
	for i := range f.hosts {
		f.hosts[i] = busyHost{
			name: fmt.Sprintf("host%05d", i), gib: 128 << f.rng.IntN(3),
			hypervisor: uint8(f.rng.IntN(len(hypervisors))), zone: uint8(f.rng.IntN(len(zones))), traits: uint8(f.rng.IntN(len(traitSets))),
		}
		f.memory += f.hosts[i].gib * 1024
		row := f.row(i)
		f.index.Update(&row)
	}
	for range 4096 {
		f.wanted = append(f.wanted, wish{
			flavor: uint8(f.rng.IntN(len(flavors))), hypervisor: uint8(f.rng.IntN(len(hypervisors))),
			traits: uint8(f.rng.IntN(len(askedTraits))), zone: uint8(f.rng.IntN(2 * len(zones))),
		})
	}
	return f
}

// request asks for a hypervisor and a trait or two, and every other one for a
// zone.
func (w wish) request() fleet.Request {
	req := fleet.Request{Resources: flavors[w.flavor], Hypervisor: hypervisors[w.hypervisor], Traits: askedTraits[w.traits]}
	if int(w.zone) < len(zones) {
		req.Zone = zones[w.zone]
	}
	return req
}

// row is the host as it is now.
func (f *busyFleet) row(h int) fleet.Host {
	truth, id := &f.hosts[h], hostID(h)
	return fleet.Host{
		ID: id, Name: truth.name, Zone: zones[truth.zone], Hypervisor: hypervisors[truth.hypervisor],
		State: fleet.HostOK, Reachability: fleet.ReachOK, Traits: traitSets[truth.traits],
		Capacity: truth.capacity(),
		Version:  fleet.Version{Host: id, Epoch: 1, Seq: truth.seq},
	}
}

func (h *busyHost) capacity() fleet.Capacity {
	return fleet.NewCapacity(freeOf(h.gib/2, h.gib*1024, h.gib*10), fleet.Resources{}, h.used)
}

// place is one decision and the update of the chosen host's row. It fails the
// test when the choice does not fit, and reports false when there is none.
func (f *busyFleet) place() bool {
	n := f.rng.IntN(len(f.wanted))
	req := f.wanted[n].request()
	id, ok := f.index.Pick(&req, f.how, nil, f.rng)
	return ok && f.settle(id, n, &req)
}

// settle puts a machine where it was proposed.
func (f *busyFleet) settle(id fleet.HostID, wish int, req *fleet.Request) bool {
	h := number(id)
	row := f.row(h)
	if len(fleet.Fits(&row, req)) > 0 {
		f.tb.Fatalf("wish %d was to go to host %d, which refuses it", wish, h)
	}
	f.change(h, &row, req.Resources, 1)
	f.placed = append(f.placed, machine{int32(h), int32(wish)})
	return true
}

// change allocates (sign 1) or frees (-1) on a host and publishes its row, which
// it brings up to date.
func (f *busyFleet) change(h int, row *fleet.Host, r fleet.Resources, sign int64) {
	truth := &f.hosts[h]
	truth.used = truth.used.Plus(fleet.Resources{VCPUs: sign * r.VCPUs, MemoryMiB: sign * r.MemoryMiB, DiskGiB: sign * r.DiskGiB})
	truth.seq++
	f.used += sign * r.MemoryMiB
	row.Capacity, row.Version.Seq = truth.capacity(), truth.seq
	f.index.Update(row)
}

// drain deletes machines at random until no more than so much of all memory
// is used.
func (f *busyFleet) drain(to float64) {
	for f.full() > to {
		i, last := f.rng.IntN(len(f.placed)), len(f.placed)-1
		gone := f.placed[i]
		f.placed[i], f.placed = f.placed[last], f.placed[:last]
		row := f.row(int(gone.host))
		f.change(int(gone.host), &row, flavors[f.wanted[gone.wish].flavor], -1)
	}
}

// fill places machines until so much of all memory is used.
func (f *busyFleet) fill(to float64) { f.fillBy(to, f.place) }

func (f *busyFleet) fillBy(to float64, place func() bool) {
	for refused := 0; f.full() < to; {
		if !place() {
			if refused++; refused > len(f.hosts) {
				f.tb.Fatalf("the fleet is %.1f %% full and takes no more", 100*f.full())
			}
		}
	}
}

// full returns which part of all memory is used.
func (f *busyFleet) full() float64 { return float64(f.used) / float64(f.memory) }

// number is the inverse of hostID.
func number(id fleet.HostID) int { return int(binary.BigEndian.Uint32(id[:])) - 1 }
