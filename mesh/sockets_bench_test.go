package mesh

import (
	"flag"
	"fmt"
	"testing"
	"time"
)

// socketAgents is the size that is asked for; fewer, for a quick look, with
// -args -agents=N.
var socketAgents = flag.Int("agents", 200, "agents that BenchmarkSpreadSockets starts")

// BenchmarkSpreadSockets measures two hundred agents in one process: real
// Serf, real TLS, loopback, real time. All of them, and whoever else is on the
// machine, share its processors.
func BenchmarkSpreadSockets(b *testing.B) {
	b.Run(fmt.Sprint("nodes=", *socketAgents), func(b *testing.B) {
		for b.Loop() {
			w := startSockets(b, *socketAgents)
			r := w.load(100, 10*time.Second)
			r.done(10 * time.Second)
			r.figures.report(b)
			b.ReportMetric(w.most(b), "max-rate")
			w.stop(b)
		}
	})
}

// load runs updates at a rate for so long, after a second that is not
// measured.
func (w *socketFleet) load(rate float64, window time.Duration) *socketRun {
	p := spreadPlan{seed: 1, nodes: len(w.nodes), rate: rate, warm: time.Second, window: window}
	r := w.begin(p)
	r.until(p.warm)
	r.figures.begin()
	sent := w.sent.Load()
	r.until(p.warm + p.window)
	r.figures.wire(int(w.sent.Load() - sent))
	r.figures.end()
	return r
}

// keepsUp reports whether a load leaves no backlog: all is published when it
// should be, and everywhere a second after the end.
func (w *socketFleet) keepsUp(b *testing.B, rate float64, window time.Duration) bool {
	b.Helper()
	r := w.load(rate, window)
	late := time.Since(r.start) - r.figures.plan.warm - window
	kept := r.done(time.Second - late)
	f := r.figures
	left := f.left()
	whole := r.done(15 * time.Second) // what is left over is not the next load's
	b.Logf("%.0f updates/s for %v: kept up %v, published %v late, %d updates not everywhere then, all %v after %v, %.1f us a delivery", rate, window, kept,
		late.Round(time.Millisecond), left, whole, (time.Since(r.start) - f.plan.warm - window).Round(time.Millisecond), float64(f.cpu.Microseconds())/float64(max(f.deliveries, 1)))
	return kept
}

// most finds the highest rate, by steps, that the fleet keeps up for half a
// minute with.
func (w *socketFleet) most(b *testing.B) float64 {
	b.Helper()
	low, high := 100.0, 250.0
	for high < 3500 && w.keepsUp(b, high, 5*time.Second) { // 4,000 would be all hosts' budget
		low, high = high, 1.5*high
	}
	if mid := (low + high) / 2; high < 3500 && w.keepsUp(b, mid, 5*time.Second) {
		low = mid
	}
	for range 3 {
		if w.keepsUp(b, low, 30*time.Second) {
			return low
		}
		low *= 0.8
	}
	return 0 // nothing was kept up with
}
