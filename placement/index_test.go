package placement_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"grapevine/fleet"
	"grapevine/placement"
)

// traitsOf and images are what drawn hosts have and drawn requests ask for.
var (
	traitsOf = [][]string{nil, {"a"}, {"b"}, {"a", "b"}, {"b", "a"}, {"a", "a"}}
	images   = []string{"", "common", "rare", "nowhere"}

	labelsOf    = []map[string]string{nil, {"rack": "r1"}, {"rack": "r2"}, {"rack": "r1", "tier": ""}, {"tier": "gold"}}
	askedLabels = []map[string]string{nil, nil, nil, {"rack": "r1"}, {"rack": "r1", "tier": ""}, {"tier": "gold", "rack": "r2"}, {"tier": "tin"}, {"row": ""}}

	networksOf    = [][]string{nil, {"default"}, {"a"}, {"a", "default"}}
	askedNetworks = [][]fleet.NIC{nil, nil, nil, {{Network: fleet.NoNetwork}}, {{Network: "a"}}, {{Network: "default"}, {Network: "a"}}, {{Network: "nowhere"}}}
)

func drawHost(t *rapid.T, n int) fleet.Host {
	host := newHost(n, freeOf(
		rapid.SampledFrom([]int64{-4, 0, 1, 2, 3, 8, 1 << 40}).Draw(t, "vcpus"),
		rapid.SampledFrom([]int64{-100, 0, 1, 127, 128, 1024, 1025, 2048, 4096, 1 << 23, 1 << 40}).Draw(t, "memory"),
		rapid.SampledFrom([]int64{-10, 0, 10, 20, 40, 1 << 40}).Draw(t, "disk")))
	host.Zone = rapid.SampledFrom([]string{"", "z1", "z2"}).Draw(t, "zone")
	host.Hypervisor = rapid.SampledFrom([]fleet.Hypervisor{fleet.KVM, fleet.Xen, fleet.ESXi}).Draw(t, "hypervisor")
	host.State = rapid.SampledFrom([]fleet.HostState{fleet.HostOK, fleet.HostOK, fleet.HostOK, fleet.HostCordoned, "from-a-newer-release"}).Draw(t, "state")
	host.Reachability = rapid.SampledFrom([]fleet.Reachability{fleet.ReachOK, fleet.ReachOK, fleet.ReachOK, fleet.ReachHypervisorUnreachable, fleet.ReachSuspect, fleet.ReachLeft}).Draw(t, "reach")
	host.HypervisorFault = rapid.SampledFrom([]string{"", "", "", "refused"}).Draw(t, "fault")
	host.Traits = rapid.SampledFrom(traitsOf).Draw(t, "traits")
	host.Networks = rapid.SampledFrom(networksOf).Draw(t, "networks")
	host.Labels = rapid.SampledFrom(labelsOf).Draw(t, "labels")
	if rapid.IntRange(0, 3).Draw(t, "holds common") > 0 {
		host.Images = append(host.Images, "common")
	}
	if rapid.IntRange(0, 9).Draw(t, "holds rare") == 0 {
		host.Images = append(host.Images, "rare")
	}
	return host
}

func drawRequest(t *rapid.T, hosts int) *fleet.Request {
	req := request(
		rapid.SampledFrom([]int64{-1, 0, 1, 2, 4, 1 << 41}).Draw(t, "need vcpus"),
		rapid.SampledFrom([]int64{-1, 0, 1, 128, 1024, 1025, 2048, 1 << 33, 1 << 41}).Draw(t, "need memory"),
		rapid.SampledFrom([]int64{-1, 0, 10, 30, 1 << 33}).Draw(t, "need disk"))
	req.Zone = rapid.SampledFrom([]string{"", "", "z1", "z2", "z3"}).Draw(t, "need zone")
	req.Hypervisor = rapid.SampledFrom([]fleet.Hypervisor{"", "", fleet.KVM, fleet.Xen}).Draw(t, "need hypervisor")
	req.Traits = rapid.SampledFrom([][]string{nil, nil, {"a"}, {"a", "b"}, {"c"}}).Draw(t, "need traits")
	req.Networks = rapid.SampledFrom(askedNetworks).Draw(t, "need networks")
	req.HostLabels = rapid.SampledFrom(askedLabels).Draw(t, "need labels")
	req.Image = rapid.SampledFrom(images).Draw(t, "need image")
	req.Obtain = rapid.SampledFrom([]string{"", "a", "b", "c"}).Draw(t, "obtained by")
	if rapid.IntRange(0, 4).Draw(t, "names a host") == 0 {
		req.Host = hostID(rapid.IntRange(0, hosts).Draw(t, "host"))
	}
	return req
}

var strategies = []fleet.Strategy{fleet.Spread, fleet.Pack, ""}

// TestPickChoosesOnlyWhatFitsAndMissesNothing is the whole contract: whatever
// has been updated and removed, the choice fits and is not excluded, and there
// is none only if nothing fits.
func TestPickChoosesOnlyWhatFitsAndMissesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 60).Draw(t, "hosts")
		index, held, exclude := placement.NewIndex(nil), map[int]fleet.Host{}, map[fleet.HostID]bool{}
		for i := range n {
			host := drawHost(t, i)
			index.Update(&host)
			held[i] = host
			if rapid.IntRange(0, 9).Draw(t, "excluded") == 0 {
				exclude[host.ID] = true
			}
		}
		for range rapid.IntRange(0, n).Draw(t, "changes") {
			i := rapid.IntRange(0, n-1).Draw(t, "of")
			if rapid.IntRange(0, 3).Draw(t, "removed") == 0 {
				index.Remove(hostID(i))
				delete(held, i)
				continue
			}
			host := drawHost(t, i)
			index.Update(&host)
			held[i] = host
		}
		req := drawRequest(t, n)
		var fitting []fleet.HostID
		for _, host := range held {
			if len(placement.Judge(&host, req)) == 0 && !exclude[host.ID] {
				fitting = append(fitting, host.ID)
			}
		}
		rng := newRNG(rapid.Uint64().Draw(t, "seed"))
		for _, how := range strategies {
			got, ok := index.Pick(req, how, exclude, rng)
			if ok != (len(fitting) > 0) || ok && !slices.Contains(fitting, got) {
				t.Fatalf("Pick by %q = %s, %v; the hosts that fit are %v", how, got, ok, fitting)
			}
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
		id, _ := index.Pick(request(1, 1, 1), fleet.Spread, nil, rng)
		seen[id]++
	}
	for i := range hosts {
		// 100 expected of equals; the walk may not favour a host by half.
		if got := seen[hosts[i].ID]; got < 50 || got > 150 {
			t.Errorf("host %d was picked %d times of %d; want about %d", i, got, draws, draws/len(hosts))
		}
	}
}

// fetching is hosts of which the first holds the image, and all can get it.
func fetching(free ...fleet.Resources) ([]fleet.Host, *fleet.Request) {
	var hosts []fleet.Host
	for i, c := range free {
		host := newHost(i, c)
		host.Traits = []string{"image-raw"}
		hosts = append(hosts, host)
	}
	hosts[0].Images = []string{"image"}
	req := request(1, 1024, 1)
	req.Image, req.Obtain = "image", "image-raw"
	return hosts, req
}

func TestHolderIsPreferredUntilOthersHaveMuchMoreToSpare(t *testing.T) {
	for _, c := range []struct {
		holder, others, want int64 // free vCPUs, and which host is picked
	}{
		{60, 100, 0},
		{30, 100, 1},
		{0, 100, 1},
	} {
		hosts, req := fetching(freeOf(c.holder, 102400, 1000), freeOf(c.others, 102400, 1000), freeOf(0, 102400, 1000))
		index, rng := placement.NewIndex(hosts), newRNG(11)
		for range 50 {
			if got, ok := index.Pick(req, fleet.Spread, nil, rng); !ok || got != hosts[c.want].ID {
				t.Fatalf("a holder with %d vCPUs free beside one with %d: picked %s, %v", c.holder, c.others, got, ok)
			}
		}
		req.Obtain = ""
		if got, ok := index.Pick(req, fleet.Spread, nil, rng); ok != (c.holder > 0) || ok && got != hosts[0].ID {
			t.Errorf("an image that cannot be fetched: picked %s, %v", got, ok)
		}
	}
}

func TestRareHolderIsFoundAmongManyWhoCouldFetch(t *testing.T) {
	free := make([]fleet.Resources, 2000)
	for i := range free {
		free[i] = freeOf(50, 51200, 500)
	}
	hosts, req := fetching(free...)
	index, rng := placement.NewIndex(hosts), newRNG(5)
	for _, how := range strategies {
		for range 20 {
			if got, _ := index.Pick(req, how, nil, rng); got != hosts[0].ID {
				t.Fatalf("%q: picked %s, want the one holder", how, got)
			}
		}
	}
}

func TestPickTakesTheBestOfFew(t *testing.T) {
	hosts := []fleet.Host{newHost(0, freeOf(10, 10240, 100)), newHost(1, freeOf(80, 81920, 800)), newHost(2, freeOf(40, 40960, 400)), newHost(3, freeOf(1, 1023, 1))}
	index, rng := placement.NewIndex(hosts), newRNG(3)
	for how, want := range map[fleet.Strategy]int{fleet.Spread: 1, fleet.Pack: 0} {
		for range 100 {
			if got, _ := index.Pick(request(1, 1024, 1), how, nil, rng); got != hosts[want].ID {
				t.Fatalf("%s: picked %s, want %s", how, got, hosts[want].ID)
			}
		}
	}
}

// TestPickReachesEveryHolderOfARareImage is the same where holders are looked
// for by the image.
func TestPickReachesEveryHolderOfARareImage(t *testing.T) {
	var hosts []fleet.Host
	for i := range 3000 {
		hosts = append(hosts, newHost(i, freeOf(50, 51200, 500)))
		if i%100 == 0 {
			hosts[i].Images = []string{"rare"}
		}
	}
	index, rng := placement.NewIndex(hosts), newRNG(7)
	req := request(1, 1, 1)
	req.Image = "rare"
	for _, how := range strategies {
		seen := map[fleet.HostID]int{}
		for range 3000 {
			id, _ := index.Pick(req, how, nil, rng)
			seen[id]++
		}
		for i := 0; i < len(hosts); i += 100 { // 30 holders, 100 picks each expected
			if got := seen[hosts[i].ID]; got < 50 || got > 150 {
				t.Errorf("by %q, host %d was picked %d times of 3000; want about 100", how, i, got)
			}
		}
	}
}

func TestUpdateIgnoresAnOlderRowButTakesItsReachability(t *testing.T) {
	fresh := newHost(0, freeOf(0, 0, 0)) // came with a refusal
	fresh.Version.Seq = 9
	index := placement.NewIndex([]fleet.Host{newHost(0, freeOf(50, 51200, 500)), fresh})
	stale := newHost(0, freeOf(50, 51200, 500))
	stale.Version.Seq = 8
	index.Update(&stale)
	if id, ok := index.Pick(request(1, 1, 1), fleet.Spread, nil, newRNG(1)); ok {
		t.Errorf("picked %s by a row older than the one it refused with", id)
	}
	stale.Reachability = fleet.ReachUnreachable
	index.Update(&stale)
	got := codes(index.Explain(request(1, 1, 1), fleet.Spread, newRNG(1)).Verdicts[0].Refusals)
	if !slices.Contains(got, fleet.RefuseUnreachable) {
		t.Errorf("refusals %v; want unreachable among them", got)
	}
	stale.Version, stale.Reachability = fleet.Version{Host: stale.ID, Epoch: 2}, fleet.ReachOK
	index.Update(&stale)
	if _, ok := index.Pick(request(1, 1, 1), fleet.Spread, nil, newRNG(1)); !ok {
		t.Error("a row of a later epoch did not replace the older one")
	}
}

func TestRemoveForgetsExactlyThatHost(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		index, held := placement.NewIndex(nil), map[fleet.HostID]bool{}
		t.Repeat(map[string]func(*rapid.T){
			"update": func(t *rapid.T) {
				host := newHost(rapid.IntRange(0, 9).Draw(t, "n"), freeOf(50, 51200, 500))
				index.Update(&host)
				held[host.ID] = true
			},
			"remove": func(t *rapid.T) {
				id := hostID(rapid.IntRange(0, 9).Draw(t, "n"))
				index.Remove(id)
				delete(held, id)
			},
			"": func(t *rapid.T) {
				got := map[fleet.HostID]bool{}
				for _, v := range index.Explain(request(1, 1, 1), fleet.Spread, newRNG(1)).Verdicts {
					got[v.Host] = true
				}
				if index.Len() != len(held) || len(got) != len(held) {
					t.Fatalf("index has %d hosts, %d apart; want %d", index.Len(), len(got), len(held))
				}
				for id := range held {
					if picked, ok := index.Pick(&fleet.Request{Host: id}, fleet.Spread, nil, newRNG(1)); !ok || picked != id {
						t.Fatalf("Pick by name = %s, %v; want %s", picked, ok, id)
					}
				}
			},
		})
	})
}

func TestVerdictsLeaveOutTheExcluded(t *testing.T) {
	hosts := []fleet.Host{newHost(0, freeOf(1, 1, 1)), newHost(1, freeOf(1, 1, 1))}
	got := placement.NewIndex(hosts).Verdicts(request(2, 1, 1), fleet.Spread, map[fleet.HostID]bool{hosts[0].ID: true})
	if len(got) != 1 || got[0].Host != hosts[1].ID {
		t.Errorf("verdicts = %v; want only %s", got, hosts[1].ID)
	}
}
