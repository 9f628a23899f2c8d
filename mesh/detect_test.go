package mesh

import (
	"context"
	"os"
	"runtime/debug"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/memberlist"
)

// A busy member has the processor for up to busyRuns, and then waits for it for
// up to busyWaits: eight times the longest wait that was measured of a process
// with a hundred others on its core.
const (
	busyRuns  = 300 * time.Millisecond
	busyWaits = time.Second
)

// detection is how much of failure detection is tried: a little at every run,
// less with -short, as under the race detector, and with GRAPEVINE_SIM=long as
// much as a person has patience for.
type detection struct {
	members int           // in the quiet part
	quiet   time.Duration // in which nobody must be declared failed
	kills   int           // of one of 100
}

func detectionEffort() detection {
	if os.Getenv("GRAPEVINE_SIM") == "long" {
		return detection{members: 100, quiet: 30 * time.Minute, kills: 60}
	}
	if testing.Short() {
		return detection{members: 30, quiet: 30 * time.Second, kills: 1}
	}
	return detection{members: 30, quiet: 5 * time.Minute, kills: 3}
}

// TestFailureDetection is about Serf as it ships, in virtual time: what makes
// a host unreachable.
func TestFailureDetection(t *testing.T) {
	effort := detectionEffort()
	before := debug.SetGCPercent(800) // nearly all is garbage soon: half the time
	t.Cleanup(func() { debug.SetGCPercent(before) })
	t.Run("who is busy behind a network that loses one packet in ten is not declared failed", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { stayAlive(t, effort) })
	})
	t.Run("who is killed among 100 is failed everywhere within 12 s", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { killSome(t, effort) })
	})
}

// stayAlive has members of which one in six is busy, so that the others show
// what the loss of packets does by itself.
func stayAlive(t *testing.T, effort detection) {
	t.Helper()
	opts := lan()
	opts.PacketLoss = 0.1
	h := newHerd(t, opts)
	for i := range effort.members {
		h.add(func(ctx context.Context, h *herd, m memberlist.NodeAwareTransport) memberlist.NodeAwareTransport {
			m = lossyStreams{m, opts.PacketLoss}
			if i%6 == 5 {
				return busyFor(busyRuns, busyWaits)(ctx, h, m)
			}
			return m
		})
	}
	h.join()
	time.Sleep(effort.quiet)
	failed := h.failures()
	for _, f := range failed {
		t.Errorf("after %v %s declared %s failed, which lives", f.at, f.by, f.about)
	}
	t.Logf("%d members, one in six of them busy, one packet in ten lost, %v: suspected %d times, declared failed %d times",
		effort.members, effort.quiet, h.suspected.Load(), len(failed))
	h.end()
}

func killSome(t *testing.T, effort detection) {
	t.Helper()
	const n = 100
	h := newHerd(t, lan())
	for range n {
		h.add(nil)
	}
	h.join()
	var first, last []time.Duration
	for i := range effort.kills {
		if i > 0 {
			h.add(nil) // in the place of the one before
			h.join()
		}
		took := h.timeKill(h.members[len(h.members)-1], i%2 == 0)
		if len(took) != n-1 {
			t.Fatalf("%d members declared it failed, want %d", len(took), n-1)
		}
		first, last = append(first, took[0]), append(last, took[n-2])
	}
	slices.Sort(first)
	slices.Sort(last)
	t.Logf("%d killed, one at a time: failed for the first member after %v (median), for the last after %v (median), %v (most)",
		effort.kills, first[len(first)/2], last[len(last)/2], last[len(last)-1])
	if most := last[len(last)-1]; most > 12*time.Second {
		t.Errorf("one was failed everywhere only after %v", most)
	}
	h.end()
}

// timeKill kills a member and returns how long each other took to declare it
// failed, in order.
func (h *herd) timeKill(x *sheep, machine bool) []time.Duration {
	killed := time.Since(h.start)
	h.kill(x, machine)
	time.Sleep(20 * time.Second)
	var took []time.Duration
	for _, f := range h.failures() {
		if f.about != x.name {
			h.t.Errorf("%s declared %s failed, which lives", f.by, f.about)
		}
		took = append(took, f.at-killed)
	}
	slices.Sort(took)
	return took
}
