package node_test

import (
	"slices"
	"testing"
	"time"

	"grapevine/mesh/meshtest"
	"grapevine/mesh/wire"
)

// What a host says is lost on its way, to all, as where a byte of it was
// flipped. Pulses show that its peers lack something.
func TestNewsThatWasLostIsMissedWithinSeconds(t *testing.T) {
	f := linkedFleet(t, 4)
	mute := f.Nodes[1]
	lost, news := 0, false
	f.Wrote = func(_ *meshtest.Member, msgs []wire.Message, _ int) {
		news = slices.ContainsFunc(msgs, func(m wire.Message) bool { _, is := m.(*wire.Answer); return is })
	}
	f.Change = func(from, _ *meshtest.Member, write []byte) []byte {
		if from == mute && news {
			lost++
			return write[:0]
		}
		return write
	}
	say(f, mute, 1)
	f.Run(time.Second)
	if lost == 0 || alike(f) {
		t.Fatal("nothing was lost")
	}
	f.Change = nil
	if !f.RunUntil(5*time.Second, flight, func() bool { return alike(f) }) {
		t.Error("others still lack what was lost, 5 s after it")
	}
}
