package placement

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"grapevine/fleet"
)

func numbered(n int) fleet.HostID {
	var id fleet.HostID
	binary.BigEndian.PutUint32(id[:], uint32(n+1))
	return id
}

func drawAmount(t *rapid.T, what string) fleet.Amount {
	a := fleet.NewAmount(rapid.Int64Range(0, 1<<20).Draw(t, what+" total"), rapid.Int64Range(0, 100).Draw(t, what+" reserved"), rapid.Int64Range(0, 1<<20).Draw(t, what+" allocated"))
	if rapid.IntRange(0, 9).Draw(t, what+" is odd") == 0 {
		a.Free = rapid.SampledFrom([]int64{math.MinInt64, math.MinInt32 - 1, -1, 0, math.MaxInt32, math.MaxInt32 + 1, math.MaxInt64}).Draw(t, what+" free")
	}
	return a
}

func drawRow(t *rapid.T, n int) fleet.Host {
	return fleet.Host{
		ID: numbered(n), Zone: rapid.SampledFrom([]string{"x", "y"}).Draw(t, "zone"), Hypervisor: fleet.KVM,
		State:        rapid.SampledFrom([]fleet.HostState{fleet.HostOK, fleet.HostOK, fleet.HostDraining}).Draw(t, "state"),
		Reachability: rapid.SampledFrom([]fleet.Reachability{fleet.ReachOK, fleet.ReachOK, fleet.ReachUnreachable}).Draw(t, "reach"),
		Traits:       rapid.SampledFrom([][]string{nil, {"a"}, {"a", "b"}}).Draw(t, "traits"),
		Labels:       rapid.SampledFrom([]map[string]string{nil, {"k": "v"}, {"k": "w"}}).Draw(t, "labels"),
		Images:       rapid.SampledFrom([][]string{nil, {"i"}, {"i", "j"}}).Draw(t, "images"),
		Capacity:     fleet.Capacity{VCPUs: drawAmount(t, "vcpus"), MemoryMiB: drawAmount(t, "memory"), DiskGiB: drawAmount(t, "disk")},
		Version:      fleet.Version{Host: numbered(n), Epoch: 1},
	}
}

// check fails unless everything in the index is as these hosts say.
func check(t *rapid.T, x *Index, hosts map[fleet.HostID]fleet.Host) {
	members, holders := 0, map[string]int{}
	if x.Len() != len(hosts) {
		t.Fatalf("%d hosts, want %d", x.Len(), len(hosts))
	}
	for id, host := range hosts {
		slot, known := x.at.find(id, x.rows)
		if !known {
			t.Fatalf("host %s is not known", id)
		}
		s := x.classes.seats[slot]
		for _, image := range host.Images {
			holders[image]++
			if !x.images[image].has(slot) {
				t.Fatalf("host %s is no holder of its image %s", id, image)
			}
		}
		if open := len(Judge(&host, &anything)) == 0; open != (s.class != closed) {
			t.Fatalf("host %s is open: %v; its class is %d", id, open, s.class)
		}
		if s.class == closed {
			continue
		}
		members++
		c, m := x.classes.list[s.class], *x.classes.room(s)
		if !c.kind.describes(&host) || m != newRoom(&host.Capacity) || x.classes.slot(s) != slot {
			t.Fatalf("host %s, %+v, is in class %+v with %+v of slot %d", id, host, c, m, x.classes.slot(s))
		}
		if k := bucketOf(m.memory); s.at < x.classes.start[k][s.class] || s.at >= x.classes.start[k+1][s.class] {
			t.Fatalf("host %s is at %d, which is not in bucket %d", id, s.at, k)
		}
	}
	if closed := len(hosts) - members; len(x.shut) != closed {
		t.Fatalf("%d hosts are kept aside, want %d", len(x.shut), closed)
	}
	for c := range x.classes.list {
		n := len(x.classes.rooms[c])
		members -= n
		if x.classes.live.has(int32(c)) != (n > 0) {
			t.Fatalf("class %d has %d members; live: %v", c, n, n == 0)
		}
		if x.classes.start[0][c] != 0 || int(x.classes.start[buckets][c]) != n || len(x.classes.slots[c]) != n {
			t.Fatalf("class %d: buckets from %d to %d of %d members in %d slots", c, x.classes.start[0][c], x.classes.start[buckets][c], n, len(x.classes.slots[c]))
		}
	}
	if members != 0 || len(x.classes.byKey) != x.classes.live.n {
		t.Fatalf("%d members too few, %d classes by key, %d live", members, len(x.classes.byKey), x.classes.live.n)
	}
	for image, b := range x.images {
		if b.n != holders[image] {
			t.Fatalf("image %s has %d holders, want %d", image, b.n, holders[image])
		}
	}
}

func TestIndexIsAsTheRowsSayAfterEveryChange(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x, hosts := NewIndex(nil), map[fleet.HostID]fleet.Host{}
		t.Repeat(map[string]func(*rapid.T){
			"update": func(t *rapid.T) {
				host := drawRow(t, rapid.IntRange(0, 11).Draw(t, "n"))
				x.Update(&host)
				hosts[host.ID] = host
			},
			"remove": func(t *rapid.T) {
				id := numbered(rapid.IntRange(0, 11).Draw(t, "n"))
				x.Remove(id)
				delete(hosts, id)
			},
			"": func(t *rapid.T) { check(t, x, hosts) },
		})
	})
}

// TestRoomNeverRefusesWhatFitsAccepts is what lets a choice look at rooms only:
// no host is missed for what its room leaves out, and, below the clamp, none is
// looked at in vain.
func TestRoomNeverRefusesWhatFitsAccepts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		host := drawRow(t, 0)
		part := rapid.OneOf(rapid.Int64Range(-2, 1<<20), rapid.SampledFrom([]int64{math.MinInt64, math.MaxInt32, math.MaxInt32 + 1, math.MaxInt64}))
		req := &fleet.Request{Resources: fleet.Resources{VCPUs: part.Draw(t, "need vcpus"), MemoryMiB: part.Draw(t, "need memory"), DiskGiB: part.Draw(t, "need disk")}}
		host.State, host.HypervisorFault = fleet.HostOK, ""
		r, n := newRoom(&host.Capacity), newNeed(req.Resources)
		fits := len(fleet.Fits(&host, req)) == 0
		if fits && !r.holds(&n) {
			t.Fatalf("%+v does not hold %+v, which fits", r, n)
		}
		if fits && bucketOf(r.memory) < bucketOf(n.memory) {
			t.Fatalf("%+v is in a lower bucket than %+v, which fits", r, n)
		}
		if clamped := max(r.vcpus, n.vcpus) == math.MaxInt16 || max(r.memory, r.disk, n.memory, n.disk) == math.MaxInt32; !fits && r.holds(&n) && !clamped {
			t.Fatalf("%+v holds %+v, which does not fit", r, n)
		}
	})
}

func TestRoomScoresAsHostsDo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		req := &fleet.Request{Resources: fleet.Resources{VCPUs: 1, MemoryMiB: 1024, DiskGiB: rapid.Int64Range(0, 3).Draw(t, "need disk")}}
		var hosts [2]fleet.Host
		for i := range hosts {
			amount := func(what string, most int64) fleet.Amount {
				free, allocated := rapid.Int64Range(1024, most).Draw(t, what+" free"), rapid.Int64Range(0, most).Draw(t, what+" allocated")
				return fleet.NewAmount(free+allocated+7, 7, allocated)
			}
			hosts[i].Capacity = fleet.Capacity{VCPUs: amount("vcpus", math.MaxInt16), MemoryMiB: amount("memory", 1<<20), DiskGiB: amount("disk", 1<<20)}
		}
		n, a, b := newNeed(req.Resources), newRoom(&hosts[0].Capacity), newRoom(&hosts[1].Capacity)
		for _, how := range []fleet.Strategy{fleet.Spread, fleet.Pack} {
			one, two := Score(&hosts[0], req, how), Score(&hosts[1], req, how)
			quick := a.score(how, &n) - b.score(how, &n)
			if near := max(one, two)/500 + 1e-5; math.Abs(one-two) > near && (one > two) != (quick > 0) {
				t.Fatalf("%s: scores are %g and %g, those of the rooms differ by %d", how, one, two, quick)
			}
		}
	})
}

func TestBucketsNeverFallAndBeginAtPowersOfTwo(t *testing.T) {
	last := bucketOf(math.MinInt32)
	for mib := int32(0); mib < 1<<24; mib += 1 + mib>>10 {
		if k := bucketOf(mib); k < last || k >= buckets {
			t.Fatalf("bucketOf(%d) = %d after %d", mib, k, last)
		} else {
			last = k
		}
	}
	for shift := 7; shift < 22; shift++ {
		if bucketOf(1<<shift) == bucketOf(1<<shift-1) {
			t.Errorf("%d MiB is in one bucket with what is less", 1<<shift)
		}
	}
	if last != buckets-1 || bucketOf(math.MaxInt32) != buckets-1 {
		t.Errorf("the last bucket is %d, want %d", last, buckets-1)
	}
}

// TestFitsHasTheLastWord: where the index believes in more room than there is,
// what Fits refuses is not proposed, and what fits is found all the same.
func TestFitsHasTheLastWord(t *testing.T) {
	var rows []fleet.Host
	for i := range 200 {
		rows = append(rows, fleet.Host{ID: numbered(i), State: fleet.HostOK, Reachability: fleet.ReachOK, Version: fleet.Version{Host: numbered(i), Epoch: 1}})
	}
	x := NewIndex(rows)
	for slot := range x.rows {
		x.classes.room(x.classes.seats[slot]).vcpus = 8
	}
	req := &fleet.Request{Resources: fleet.Resources{VCPUs: 1}}
	for _, how := range []fleet.Strategy{fleet.Spread, fleet.Pack} {
		x.rows[77].free.VCPUs = 0
		if id, ok := x.Pick(req, how, nil, newTestRNG()); ok {
			t.Errorf("%s: picked %s, which Fits refuses", how, id)
		}
		x.rows[77].free.VCPUs = 1
		if id, ok := x.Pick(req, how, nil, newTestRNG()); !ok || id != x.rows[77].id() {
			t.Errorf("%s: picked %s, %v; want the only one that fits", how, id, ok)
		}
	}
}

func newTestRNG() *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }
