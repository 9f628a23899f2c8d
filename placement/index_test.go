package placement_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"grapevine/fleet"
	"grapevine/placement"
)

func drawHost(t *rapid.T, n int) fleet.Host {
	host := newHost(n, freeOf(
		rapid.Int64Range(-4, 8).Draw(t, "vcpus"),
		rapid.Int64Range(-100, 4096).Draw(t, "memory"),
		rapid.Int64Range(-10, 40).Draw(t, "disk")))
	host.Zone = rapid.SampledFrom([]string{"z1", "z2"}).Draw(t, "zone")
	host.Hypervisor = rapid.SampledFrom([]fleet.Hypervisor{fleet.KVM, fleet.Xen, fleet.ESXi}).Draw(t, "hypervisor")
	host.State = rapid.SampledFrom([]fleet.HostState{fleet.HostOK, fleet.HostOK, fleet.HostCordoned}).Draw(t, "state")
	host.Reachability = rapid.SampledFrom([]fleet.Reachability{fleet.ReachOK, fleet.ReachOK, fleet.ReachSuspect, fleet.ReachUnreachable, fleet.ReachLeft}).Draw(t, "reach")
	return host
}

func drawRequest(t *rapid.T, hosts int) *fleet.Request {
	req := request(rapid.Int64Range(1, 4).Draw(t, "need vcpus"), rapid.Int64Range(1, 2048).Draw(t, "need memory"), rapid.Int64Range(0, 20).Draw(t, "need disk"))
	req.Zone = rapid.SampledFrom([]string{"", "z1", "z2"}).Draw(t, "need zone")
	req.Hypervisor = rapid.SampledFrom([]fleet.Hypervisor{"", fleet.KVM, fleet.Xen}).Draw(t, "need hypervisor")
	if rapid.Bool().Draw(t, "names a host") {
		req.Host = hostID(rapid.IntRange(0, hosts).Draw(t, "host"))
	}
	return req
}

// TestPickChoosesOnlyWhatFitsAndMissesNothing is the whole contract: the
// choice fits and is not excluded, and there is none only if nothing fits.
func TestPickChoosesOnlyWhatFitsAndMissesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 30).Draw(t, "hosts")
		hosts := make([]fleet.Host, n)
		exclude := map[fleet.HostID]bool{}
		for i := range hosts {
			hosts[i] = drawHost(t, i)
			if rapid.IntRange(0, 4).Draw(t, "excluded") == 0 {
				exclude[hosts[i].ID] = true
			}
		}
		req := drawRequest(t, n)
		var fitting []fleet.HostID
		for _, v := range placement.Explain(hosts, req) {
			if v.Fits && !exclude[v.Host] {
				fitting = append(fitting, v.Host)
			}
		}
		got, ok := placement.NewIndex(hosts).Pick(req, exclude, newRNG(rapid.Uint64().Draw(t, "seed")))
		if ok != (len(fitting) > 0) || ok && !slices.Contains(fitting, got) {
			t.Fatalf("Pick = %s, %v; the hosts that fit are %v", got, ok, fitting)
		}
	})
}

func TestPickReachesEveryFittingHost(t *testing.T) {
	var hosts []fleet.Host
	for i := range 40 {
		hosts = append(hosts, newHost(i, freeOf(50, 51200, 500)))
	}
	index, rng, seen := placement.NewIndex(hosts), newRNG(7), map[fleet.HostID]int{}
	const draws = 4000
	for range draws {
		id, _ := index.Pick(request(1, 1, 1), nil, rng)
		seen[id]++
	}
	for i := range hosts {
		// 100 expected of equals; the walk may not favour a host by half.
		if got := seen[hosts[i].ID]; got < 50 || got > 150 {
			t.Errorf("host %d was picked %d times of %d; want about %d", i, got, draws, draws/len(hosts))
		}
	}
}

func TestPickPrefersTheRoomiestOfFew(t *testing.T) {
	hosts := []fleet.Host{newHost(0, freeOf(10, 10240, 100)), newHost(1, freeOf(80, 81920, 800)), newHost(2, freeOf(40, 40960, 400))}
	index, rng := placement.NewIndex(hosts), newRNG(3)
	for range 100 {
		if got, _ := index.Pick(request(1, 1024, 1), nil, rng); got != hosts[1].ID {
			t.Fatalf("picked %s, want the roomiest, %s", got, hosts[1].ID)
		}
	}
}

func TestUpdateIgnoresAnOlderRowButTakesItsReachability(t *testing.T) {
	fresh := newHost(0, freeOf(0, 0, 0)) // came with a refusal
	fresh.Version.Seq = 9
	index := placement.NewIndex([]fleet.Host{newHost(0, freeOf(50, 51200, 500)), fresh})
	stale := newHost(0, freeOf(50, 51200, 500))
	stale.Version.Seq = 8
	index.Update(stale)
	if id, ok := index.Pick(request(1, 1, 1), nil, newRNG(1)); ok {
		t.Errorf("picked %s by a row older than the one it refused with", id)
	}
	stale.Reachability = fleet.ReachUnreachable
	index.Update(stale)
	got := codes(index.Explain(request(1, 1, 1), newRNG(1)).Verdicts[0].Refusals)
	if !slices.Contains(got, fleet.RefuseUnreachable) {
		t.Errorf("refusals %v; want unreachable among them", got)
	}
	stale.Version, stale.Reachability = fleet.Version{Host: stale.ID, Epoch: 2}, fleet.ReachOK
	index.Update(stale)
	if _, ok := index.Pick(request(1, 1, 1), nil, newRNG(1)); !ok {
		t.Error("a row of a later epoch did not replace the older one")
	}
}

func TestRemoveForgetsExactlyThatHost(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		index, held := placement.NewIndex(nil), map[fleet.HostID]bool{}
		t.Repeat(map[string]func(*rapid.T){
			"update": func(t *rapid.T) {
				host := newHost(rapid.IntRange(0, 9).Draw(t, "n"), freeOf(50, 51200, 500))
				index.Update(host)
				held[host.ID] = true
			},
			"remove": func(t *rapid.T) {
				id := hostID(rapid.IntRange(0, 9).Draw(t, "n"))
				index.Remove(id)
				delete(held, id)
			},
			"": func(t *rapid.T) {
				got := map[fleet.HostID]bool{}
				for _, v := range index.Explain(request(1, 1, 1), newRNG(1)).Verdicts {
					got[v.Host] = true
				}
				if index.Len() != len(held) || len(got) != len(held) {
					t.Fatalf("index has %d hosts, %d apart; want %d", index.Len(), len(got), len(held))
				}
				for id := range held {
					if picked, ok := index.Pick(&fleet.Request{Host: id}, nil, newRNG(1)); !ok || picked != id {
						t.Fatalf("Pick by name = %s, %v; want %s", picked, ok, id)
					}
				}
			},
		})
	})
}

func TestVerdictsLeaveOutTheExcluded(t *testing.T) {
	hosts := []fleet.Host{newHost(0, freeOf(1, 1, 1)), newHost(1, freeOf(1, 1, 1))}
	got := placement.NewIndex(hosts).Verdicts(request(2, 1, 1), map[fleet.HostID]bool{hosts[0].ID: true})
	if len(got) != 1 || got[0].Host != hosts[1].ID {
		t.Errorf("verdicts = %v; want only %s", got, hosts[1].ID)
	}
}
