package placement_test

import (
	"math"
	"slices"
	"testing"

	"grapevine/fleet"
	"grapevine/placement"
)

// exactly proposes the best host of all that fit, by judging every one: what
// Pick is compared with. On a shared stale view it would be a bad choice.
func (f *busyFleet) exactly(req *fleet.Request) (fleet.HostID, bool) {
	best, bestScore := -1, 0.0
	for h := range f.hosts {
		row := f.row(h)
		score := placement.Score(&row, req, f.how)
		// What cannot win, or is short, need not be judged: refusals are slow.
		if score > bestScore && f.free(h, req) && len(fleet.Fits(&row, req)) == 0 {
			best, bestScore = h, score
		}
	}
	return hostID(max(best, 0)), best >= 0
}

// free reports whether the host is of the kind and has the memory.
func (f *busyFleet) free(h int, req *fleet.Request) bool {
	truth := &f.hosts[h]
	return hypervisors[truth.hypervisor] == req.Hypervisor && truth.gib*1024-truth.used.MemoryMiB >= req.MemoryMiB
}

// randomly proposes any host that fits.
func (f *busyFleet) randomly(req *fleet.Request) (fleet.HostID, bool) {
	for range 20 * len(f.hosts) {
		h := f.rng.IntN(len(f.hosts))
		if row := f.row(h); f.free(h, req) && len(fleet.Fits(&row, req)) == 0 {
			return hostID(h), true
		}
	}
	return fleet.HostID{}, false
}

func (f *busyFleet) picked(req *fleet.Request) (fleet.HostID, bool) {
	return f.index.Pick(req, f.how, nil, f.rng)
}

// chooser is a way of choosing.
type chooser func(*busyFleet, *fleet.Request) (fleet.HostID, bool)

// run fills a fleet to this part of its memory by one way of choosing, then
// replaces half of its machines, and returns how full each host is, from 0 to 1.
func run(t *testing.T, how fleet.Strategy, to float64, choose chooser) []float64 {
	t.Helper()
	f := newBusyFleet(t, 240, how)
	place := func() bool {
		n := f.rng.IntN(len(f.wanted))
		req := f.wanted[n].request()
		id, ok := choose(f, &req)
		return ok && f.settle(id, n, &req)
	}
	f.fillBy(to, place)
	f.drain(to / 2)
	f.fillBy(to, place)
	var full []float64
	for h := range f.hosts {
		full = append(full, float64(f.hosts[h].used.MemoryMiB)/float64(f.hosts[h].gib*1024))
	}
	return full
}

func deviation(xs []float64) float64 {
	sum, squares := 0.0, 0.0
	for _, x := range xs {
		sum, squares = sum+x, squares+x*x
	}
	mean := sum / float64(len(xs))
	return math.Sqrt(squares/float64(len(xs)) - mean*mean)
}

func count(xs []float64, f func(float64) bool) (n int) {
	for _, x := range xs {
		if f(x) {
			n++
		}
	}
	return n
}

func TestSpreadLeavesHostsNearlyAsEvenAsTheBestChoice(t *testing.T) {
	exact := deviation(run(t, fleet.Spread, 0.7, (*busyFleet).exactly))
	spread := deviation(run(t, fleet.Spread, 0.7, (*busyFleet).picked))
	random := deviation(run(t, fleet.Spread, 0.7, (*busyFleet).randomly))
	t.Logf("standard deviation of how full hosts are: best of all %.3f, best of eight %.3f, any %.3f", exact, spread, random)
	if spread > exact+0.03 {
		t.Errorf("hosts deviate by %.3f, with the best choice by %.3f", spread, exact)
	}
	if spread > random/2 {
		t.Errorf("hosts deviate by %.3f, with any choice by %.3f: spreading does nothing", spread, random)
	}
}

func TestPackKeepsNearlyAsManyHostsEmptyAsTheBestChoice(t *testing.T) {
	empty := func(x float64) bool { return x < 0.02 }
	brim := func(x float64) bool { return x > 0.95 }
	exact := run(t, fleet.Pack, 0.5, (*busyFleet).exactly)
	pack := run(t, fleet.Pack, 0.5, (*busyFleet).picked)
	spread := run(t, fleet.Spread, 0.5, (*busyFleet).picked)
	t.Logf("of %d hosts, empty and over 95 %% full: best fit of all %d and %d, pack %d and %d, spread %d and %d", len(pack),
		count(exact, empty), count(exact, brim), count(pack, empty), count(pack, brim), count(spread, empty), count(spread, brim))
	if got, want := count(pack, empty), count(exact, empty); got < want-len(pack)/25 {
		t.Errorf("%d hosts are empty, with the best choice %d", got, want)
	}
	if got, want := deviation(pack), deviation(exact); got < 0.95*want {
		t.Errorf("hosts deviate by %.3f, with the best choice by %.3f", got, want)
	}
	if slices.Max(pack) > 1 {
		t.Errorf("a host is %.2f full", slices.Max(pack))
	}
}
