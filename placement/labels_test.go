package placement_test

import (
	"fmt"
	"testing"

	"grapevine/fleet"
	"grapevine/placement"
)

// racks is hosts in racks of twenty, each with a label of its own too, and every
// second one in the tier gold.
func racks(n int) []fleet.Host {
	hosts := make([]fleet.Host, n)
	for i := range hosts {
		hosts[i] = newHost(i, freeOf(50, 51200, 500))
		hosts[i].Labels = map[string]string{"rack": fmt.Sprint("r", i/20), "serial": fmt.Sprint(i), "tier": []string{"gold", "tin"}[i%2]}
	}
	return hosts
}

func TestLabelsLeaveTheHostsThatHaveThemAll(t *testing.T) {
	hosts := racks(2000)
	index, rng := placement.NewIndex(hosts), newRNG(3)
	for _, c := range []struct {
		asked map[string]string
		want  int // hosts
	}{
		{map[string]string{"rack": "r7"}, 20},
		{map[string]string{"rack": "r7", "tier": "gold"}, 10},
		{map[string]string{"serial": "123"}, 1},
		{map[string]string{"serial": "123", "tier": "gold"}, 0},
		{map[string]string{"rack": "r100"}, 0},
		{map[string]string{"tier": "tin"}, 1000},
	} {
		for _, how := range strategies {
			req, seen := request(1, 1, 1), map[fleet.HostID]bool{}
			req.HostLabels = c.asked
			for range 200 {
				if id, ok := index.Pick(req, how, nil, rng); ok {
					seen[id] = true
				}
			}
			for i := range hosts {
				if seen[hosts[i].ID] && !hosts[i].HasLabels(c.asked) {
					t.Fatalf("%v by %q: picked %s with %v", c.asked, how, hosts[i].Name, hosts[i].Labels)
				}
			}
			if got := len(seen); got > c.want || got < min(c.want, 20) {
				t.Errorf("%v by %q: %d hosts were picked, and %d have the labels", c.asked, how, got, c.want)
			}
		}
	}
}

// A label that each host has to itself makes no class of its own, and asking for
// labels takes no memory.
func TestLabelsCostChoicesNothing(t *testing.T) {
	index, rng := placement.NewIndex(racks(2000)), newRNG(3)
	plain, labelled := request(1, 1, 1), request(1, 1, 1)
	labelled.HostLabels = map[string]string{"rack": "r7", "tier": "gold"}
	for _, req := range []*fleet.Request{plain, labelled} {
		if n := testing.AllocsPerRun(200, func() { index.Pick(req, fleet.Spread, nil, rng) }); n != 0 {
			t.Errorf("with %v, a choice takes memory %v times", req.HostLabels, n)
		}
	}
}

func TestLabelsFollowTheRow(t *testing.T) {
	hosts := racks(2)
	index, rng := placement.NewIndex(hosts), newRNG(3)
	req := request(1, 1, 1)
	req.HostLabels = map[string]string{"serial": "0"}
	want := func(step string, want fleet.HostID) {
		t.Helper()
		if got, ok := index.Pick(req, fleet.Spread, nil, rng); got != want || ok != !want.IsZero() {
			t.Errorf("%s: picked %s, %v; want %s", step, got, ok, want)
		}
	}
	want("at first", hosts[0].ID)
	hosts[0].Labels, hosts[0].Version.Seq = nil, 2
	index.Update(&hosts[0])
	want("without labels", fleet.HostID{})
	if v := index.Verdicts(req, fleet.Spread, nil); v[0].Refusals[0].Code != fleet.RefuseLabel {
		t.Errorf("the verdict is %v, want it to tell of the label", v[0])
	}
	hosts[1].Labels, hosts[1].Version.Seq = map[string]string{"serial": "0"}, 2
	index.Update(&hosts[1])
	want("the other one has it", hosts[1].ID)
	index.Remove(hosts[1].ID)
	want("the other one is gone", fleet.HostID{})
}
