package bench

import (
	"testing"
	"time"

	"grapevine/identity"
)

const (
	// agentPeers and the one agent that is measured make a fleet of twenty.
	agentPeers = 19
	// agentSettle is how long a fresh fleet may take to come to rest, and
	// agentIdle how long one agent is then looked at.
	agentSettle = 15 * time.Second
	agentIdle   = 40 * time.Second
)

// BenchmarkAgent measures one idle agent in a fleet of twenty, on a simulated
// host with the default settings: a full listing of the hypervisor every five
// seconds, Serf, its links. The registry beside it is measured as well.
func BenchmarkAgent(b *testing.B) {
	for b.Loop() {
		w := newWorld(b)
		r := w.start(identity.Registry, "registry", "")
		w.simulated(agentPeers)
		agent := w.start(identity.Agent, "measured", "driver = \"simulated\"\n")
		r.whole(agentPeers + 1)
		time.Sleep(agentSettle)

		before := [2]time.Duration{cpuOf(b, agent.pid()), cpuOf(b, r.pid())}
		began := time.Now()
		time.Sleep(agentIdle)
		took := time.Since(began).Seconds()
		for i, n := range []*node{agent, r} {
			what := []string{"agent", "registry"}[i]
			spent := cpuOf(b, n.pid()) - before[i]
			held := memoryOf(b, n.pid())
			report(b, what+" RSS anonymous", held.anon, "MiB")
			report(b, what+" RSS file", held.file, "MiB")
			report(b, what+" idle CPU", 100*spent.Seconds()/took, "%-of-a-core")
		}
	}
}
