package mesh

import (
	"fmt"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"
)

// hop is how long anything is on its way between two nodes of the spread
// benchmarks.
const hop = 500 * time.Microsecond

// alternative is something else that the updates could travel on.
type alternative struct {
	name string
	// tune changes memberlist's defaults for a LAN; nil leaves them.
	tune func(*memberlist.Config)
	// events has the updates travel as Serf's user events, otherwise as
	// broadcasts of a memberlist delegate.
	events bool
}

var alternatives = []alternative{
	{name: "memberlist-lan"},
	{name: "memberlist-tuned", tune: tuned},
	{name: "serf-events", events: true},
}

// tuned is about as far as memberlist's settings go: past 14 KB a packet, a
// counter in the packets that carry pings wraps.
func tuned(c *memberlist.Config) {
	c.GossipInterval, c.GossipNodes, c.UDPBufferSize, c.EnableCompression = 50*time.Millisecond, 4, 8<<10, false
}

// config returns the settings under which a node runs.
func (a alternative) config() *memberlist.Config {
	c := memberlist.DefaultLANConfig()
	if a.tune != nil {
		a.tune(c)
	}
	return c
}

// plan says how long a run lasts: long enough for fifty updates and for the
// queues to come to rest, and after that for the last ones to get everywhere.
// Of ten thousand nodes less is affordable.
func (a alternative) plan(nodes int, rate float64) spreadPlan {
	tick, least := a.config().GossipInterval, 100
	if nodes >= 10_000 {
		least = 20
	}
	window := max(time.Duration(least)*tick, time.Duration(50/rate*float64(time.Second)))
	return spreadPlan{seed: 1, nodes: nodes, rate: rate, warm: 15 * tick, window: window, tail: 20 * tick}
}

// BenchmarkSpreadAlternatives sends the updates of BenchmarkSpread over what a
// reader would have used instead. The first three are the libraries as they
// are, in virtual time; those called model are memberlist's own queue in the
// events that memberlist's timers make of it, since ten thousand whole members
// do not fit into a process. At 100 nodes there are both.
func BenchmarkSpreadAlternatives(b *testing.B) {
	for _, run := range []alternativeRun{
		{0, []int{100}, []float64{1, 5, 100}}, {1, []int{100}, []float64{10, 100}}, {2, []int{100}, []float64{1, 5}},
	} {
		run.each(b, "", benchmarkLibrary)
	}
	for _, run := range []alternativeRun{
		{0, []int{100, 1_000}, []float64{1, 3}},
		{1, []int{100, 1_000}, []float64{10, 100}},
		{2, []int{100, 1_000}, []float64{1, 3}},
		{0, []int{10_000}, []float64{3}},
		{1, []int{10_000}, []float64{100}},
		{2, []int{10_000}, []float64{3}},
	} {
		run.each(b, "model-", benchmarkModel)
	}
}

// alternativeRun is one of the alternatives at several sizes and rates.
type alternativeRun struct {
	of    int
	nodes []int
	rates []float64
}

func (r alternativeRun) each(b *testing.B, prefix string, run func(*testing.B, alternative, spreadPlan)) {
	b.Helper()
	a := alternatives[r.of]
	for _, nodes := range r.nodes {
		for _, rate := range r.rates {
			b.Run(fmt.Sprintf("%s%s/nodes=%d/rate=%g", prefix, a.name, nodes, rate), func(b *testing.B) { run(b, a, a.plan(nodes, rate)) })
		}
	}
}
