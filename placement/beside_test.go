package placement_test

import (
	"testing"

	"grapevine/fleet"
	"grapevine/placement"
)

func TestRequestsMadeTogetherSpreadOverOneStaleView(t *testing.T) {
	// The first is best by far, and would be wanted by all.
	hosts := []fleet.Host{newHost(0, freeOf(100, 102400, 1000)), newHost(1, freeOf(90, 102400, 1000)), newHost(2, freeOf(90, 102400, 1000))}
	index, rng := placement.NewIndex(hosts), newRNG(5)
	var taken []placement.Taken
	on := map[fleet.HostID]int{}
	for range 40 {
		id, ok := index.PickBeside(request(1, 1, 1), fleet.Spread, nil, taken, rng)
		if !ok {
			t.Fatal("nothing fits")
		}
		on[id]++
		taken = append(taken, placement.Taken{Host: id, Resources: freeOf(1, 1, 1)})
	}
	if on[hosts[0].ID] != 20 || on[hosts[1].ID] != 10 || on[hosts[2].ID] != 10 {
		t.Errorf("they went to %v; want 20 to the first, which had ten more free, and 10 to each other", on)
	}
	for range 50 {
		if id, _ := index.Pick(request(1, 1, 1), fleet.Spread, nil, rng); id != hosts[0].ID {
			t.Fatalf("afterwards %s is picked, and the rows are as they were", id)
		}
	}
}

func TestWhatWasTakenCountsUntilTheHostTells(t *testing.T) {
	hosts := []fleet.Host{newHost(0, freeOf(50, 102400, 1000)), newHost(1, freeOf(40, 102400, 1000))}
	index, rng := placement.NewIndex(hosts), newRNG(5)
	at := func(seq uint64) []placement.Taken {
		return []placement.Taken{{Host: hosts[0].ID, Resources: freeOf(20, 0, 0), At: fleet.Version{Host: hosts[0].ID, Epoch: 1, Seq: seq}}}
	}
	for _, c := range []struct {
		name string
		seq  uint64
		want fleet.HostID
	}{{"a row that has it", 1, hosts[0].ID}, {"a row from before", 2, hosts[1].ID}} {
		if id, _ := index.PickBeside(request(1, 1, 1), fleet.Spread, nil, at(c.seq), rng); id != c.want {
			t.Errorf("%s: picked %s, want %s", c.name, id, c.want)
		}
	}
}

// What is on its way may be refused in the end: nobody is told that a host is
// full because of it.
func TestWhatWasTakenRefusesNobody(t *testing.T) {
	hosts := []fleet.Host{newHost(0, freeOf(1, 102400, 1000))}
	index, rng := placement.NewIndex(hosts), newRNG(5)
	taken := []placement.Taken{{Host: hosts[0].ID, Resources: freeOf(1, 1, 1)}, {Host: hostID(9), Resources: freeOf(1, 1, 1)}}
	if id, ok := index.PickBeside(request(1, 1, 1), fleet.Spread, nil, taken, rng); !ok || id != hosts[0].ID {
		t.Errorf("picked %s, %v; want the one host there is", id, ok)
	}
	if _, ok := index.PickBeside(request(2, 1, 1), fleet.Spread, nil, taken, rng); ok {
		t.Error("a host was picked that has too little")
	}
}
