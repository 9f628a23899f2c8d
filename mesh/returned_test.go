package mesh

import (
	"testing"
	"testing/synctest"
	"time"

	"grapevine/mesh/meshtest"
)

// A host that comes back learns at its start how long the fleet has missed it.
func TestHostIsToldAtItsStartHowLongItWasAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, lan())
		fleetOf(w, 5)
		store := &meshtest.Epochs{}
		x := w.start("10.0.9.9", func(c *Config) { c.Epochs = store })
		x.say(1)
		w.waitFor(10*time.Second, "the host is known", func() bool { return w.agree(6) })
		if r := x.Returned(); r.Held || r.Epoch != 0 || r.Alone {
			t.Errorf("a new host is told %+v, want nothing", r)
		}
		w.stop(x)
		const away = 11 * time.Minute
		time.Sleep(away) // virtual
		x = w.start("10.0.9.9", func(c *Config) { c.Epochs = store })
		x.say(1)
		w.waitFor(10*time.Second, "it is settled", x.Settled)
		if r := x.Returned(); !r.Held || !r.AgeKnown || r.Age < away || r.Age > away+time.Minute || r.Epoch != 1 {
			t.Errorf("told %+v, want an age of %v or a little more", r, away)
		}
		w.waitFor(30*time.Second, "it has merged what three peers hold", func() bool {
			r := x.Returned()
			return r.Merged >= 3 && r.Others == 5 && r.Whole
		})
		time.Sleep(10 * time.Minute) // virtual: what is told of this life counts for nothing
		before := x.Returned().Age
		w.stop(w.members[nameOf(0)])
		w.start(nameOf(0))
		time.Sleep(time.Minute) // virtual
		if r := x.Returned(); r.Age != before {
			t.Errorf("its age was %v and is now %v, while it runs", before, r.Age)
		}
		w.stopAll()
	})
}

// Silence of those who can be joined is not their absence.
func TestNobodyIsAloneThatHasSomebodyToJoin(t *testing.T) {
	for _, join := range [][]string{nil, {"seed"}} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, lan())
			x := w.start("10.0.9.9", func(c *Config) { c.Join = join })
			x.say(1)
			w.waitFor(10*time.Second, "it is settled", x.Settled)
			if got := x.Returned().Alone; got != (join == nil) {
				t.Errorf("with %v to join through and nobody there it is alone: %v", join, got)
			}
			w.stopAll()
		})
	}
}
