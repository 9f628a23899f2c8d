package mesh

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
	"testing"
	"time"

	"grapevine/fleet"
	"grapevine/mesh/meshtest"
	"grapevine/mesh/replica"
	"grapevine/mesh/wire"
)

// spreadFleet is a simulated fleet that spreads the updates of a plan.
type spreadFleet struct {
	*meshtest.Fleet
	figures *spreadFigures
	index   map[fleet.HostID]int
	began   time.Duration // when the plan began
	seen    []spreadSeen  // by each shard since the figures were told
	beats   int64         // bytes of signs of life while measuring
	heads   int64         // bytes of heads in answers while measuring
	before  int32         // what each had published when the plan began
}

// newSpreadFleet starts so many agents at once, which know each other, and
// waits until every one has its links.
func newSpreadFleet(tb testing.TB, plan spreadPlan) *spreadFleet {
	tb.Helper()
	updates := plan.updates()
	opts := meshtest.FleetOptions{Seed: plan.seed, MinDelay: hop, MaxDelay: hop, Shards: plan.shards}
	if plan.signed {
		newFleetIdentity(tb).sign(&opts)
	}
	s := &spreadFleet{
		Fleet:   meshtest.NewFleet(plan.nodes, opts),
		figures: newSpreadFigures(plan, updates), index: map[fleet.HostID]int{}, seen: make([]spreadSeen, max(plan.shards, 1)),
	}
	list, shelf := s.Everybody(), &meshtest.Shelf{}
	for i, m := range s.Nodes {
		s.index[m.ID] = i
		r := replica.New()
		r.ShareWith(shelf)
		s.See(m, list)
		s.Start(m, r)
	}
	ready := s.RunUntil(time.Minute, 100*time.Millisecond, func() bool {
		for _, m := range s.Nodes {
			if !m.Settled() || m.LinkCount() < 3 {
				return false
			}
		}
		return true
	})
	if !ready {
		tb.Fatal("the fleet has not found its links")
	}
	if plan.signed {
		s.introduce(tb)
	}
	s.Wrote = s.wrote
	s.Took = s.took
	return s
}

// introduce has every host publish once, so that its credential is everywhere:
// that travels with the first block of a host, and with none after it.
func (s *spreadFleet) introduce(tb testing.TB) {
	tb.Helper()
	for _, m := range s.Nodes {
		s.publish(m, []byte("first"))
	}
	if !s.RunUntil(time.Minute, 100*time.Millisecond, func() bool { return s.Nodes[0].Replica().Len() == len(s.Nodes) && s.equal() }) {
		tb.Fatal("the first blocks did not get everywhere")
	}
	s.Run(time.Second) // until what was left to others is told as well
	s.before = 1
}

func (s *spreadFleet) publish(m *meshtest.Member, payload []byte) {
	s.Do(m, func(now time.Time) {
		m.Publish([]replica.OwnRow{{Key: wire.HostKey(m.ID), Body: wire.Body{Core: payload}}}, now)
	})
}

// run publishes the plan's updates, each as a change of its host's one row,
// and works all off.
func (s *spreadFleet) run(tb testing.TB) {
	tb.Helper()
	s.began = s.Clock()
	for _, u := range s.figures.updates {
		s.At(u.at, func() {
			s.publish(s.Nodes[u.node], u.payload)
			s.figures.published(s.Clock()-s.began, u.id)
		})
	}
	plan := s.figures.plan
	s.tell(plan.warm)
	s.figures.begin()
	s.tell(plan.window)
	s.figures.end()
	s.tell(plan.tail)
	for limit := s.Clock() + 10*time.Second; !s.equal(); s.tell(100 * time.Millisecond) {
		if s.Clock() >= limit {
			tb.Fatal("replicas are not equal in the end")
		}
	}
}

// equal reports whether all replicas hold the same.
func (s *spreadFleet) equal() bool {
	for _, m := range s.Nodes {
		if m.Replica().Root() != s.Nodes[0].Replica().Root() {
			return false
		}
	}
	return true
}

// gcPercent is the runtime's own but for the largest fleet, which may take 16 GiB
// and five minutes.
func gcPercent(nodes int) int {
	if nodes >= 10_000 {
		return 200
	}
	return 100
}

// shardsOf is in how many shards a fleet runs. Smaller ones would spend more on
// waiting for each other than they save.
func shardsOf(nodes int) int {
	if nodes < 10_000 {
		return 1
	}
	return runtime.GOMAXPROCS(0)
}

func BenchmarkSpread(b *testing.B) {
	for _, nodes := range []int{10, 100, 1000, 10000} {
		for _, rate := range []float64{100, 1000} {
			b.Run(fmt.Sprintf("nodes=%d/rate=%.0f", nodes, rate), func(b *testing.B) {
				benchmarkSpread(b, nodes, rate, false)
			})
		}
	}
	for _, rate := range []float64{100, 1000} {
		b.Run(fmt.Sprintf("signed/nodes=1000/rate=%.0f", rate), func(b *testing.B) {
			benchmarkSpread(b, 1000, rate, true)
		})
	}
}

func benchmarkSpread(b *testing.B, nodes int, rate float64, signed bool) {
	b.Helper()
	defer debug.SetGCPercent(debug.SetGCPercent(gcPercent(nodes)))
	for b.Loop() {
		s := newSpreadFleet(b, spreadPlan{
			seed: 1, nodes: nodes, rate: rate, shards: shardsOf(nodes), signed: signed,
			warm: 500 * time.Millisecond, window: time.Second, tail: 100 * time.Millisecond,
		})
		s.run(b)
		s.figures.report(b)
		b.ReportMetric(float64(s.beats)/float64(nodes), "beat-B/s")
		b.ReportMetric(float64(s.heads)/float64(s.figures.deliveries)/spreadBytes, "head-x")
	}
}

// In CI the figures that do not depend on the machine are held, at 300 nodes.
func TestThreeHundredNodesSpreadUpdatesOnceAndSoon(t *testing.T) {
	plan := spreadPlan{
		seed: 1, nodes: 300, rate: 200, shards: 2,
		warm: 500 * time.Millisecond, window: time.Second, tail: 100 * time.Millisecond,
	}
	s := newSpreadFleet(t, plan)
	s.run(t)
	f := s.figures
	if !f.complete() {
		t.Fatalf("%d updates did not get everywhere", f.missing)
	}
	deliveries := float64(f.deliveries)
	if copies := float64(f.copies) / deliveries; copies > 1.01 {
		t.Errorf("each node got an update %.3f times", copies)
	}
	if wire := float64(f.bytes) / deliveries / spreadBytes; wire > 1.50 {
		t.Errorf("an update took %.2f times its bytes", wire)
	}
	if latest := slices.Max(f.taken(f.t100)); latest > 60*time.Millisecond {
		t.Errorf("an update took %v to get everywhere", latest)
	}
}
