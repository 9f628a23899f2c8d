package node_test

import (
	"testing"
	"time"
)

// A node that was cut off from all others for minutes is dialled, or dials,
// within seconds of the cut's end: nobody leaves it alone for longer.
func TestIsolatedNodeIsBackSecondsAfterTheCut(t *testing.T) {
	f := linkedFleet(t, 6)
	alone := f.Nodes[2]
	for _, other := range f.Nodes {
		if other != alone {
			f.Cut(alone, other)
			f.Cut(other, alone)
		}
	}
	f.Run(5 * time.Minute)
	if alone.LinkCount() > 0 {
		t.Fatal("it still has links")
	}
	say(f, alone, 1)
	f.Restore()
	if !f.RunUntil(10*time.Second, flight, func() bool { return alike(f) }) {
		t.Errorf("10 s after the cut it has %d links, and others lack what it said", alone.LinkCount())
	}
}
