package mesh

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"grapevine/fleet"
)

// A barred member goes on with the right key and answers everybody. The others'
// Serf itself finds it failed within a minute, and does not take it back until it
// is barred no more.
func TestBarredMemberIsPutOutOfTheGossip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, lan())
		out := idOf(nameOf(3))
		var barred atomic.Bool
		var members []*member
		for i := range 4 {
			members = append(members, w.startSerf(nameOf(i), func(c *Config) {
				c.Barred = func(id fleet.UUID) bool { return id == out && barred.Load() }
			}))
			members[i].say(1)
		}
		w.waitFor(time.Minute, "all agree", func() bool { return w.agree(4) })
		others := members[:3]
		says := func(want fleet.MemberStatus) func() bool {
			return func() bool {
				for _, x := range others {
					for _, m := range x.members.Members() { // what Serf itself says
						if m.ID == out && m.Status != want {
							return false
						}
					}
				}
				return true
			}
		}
		barred.Store(true)
		if statuses(others[0])[nameOf(3)] != fleet.MemberFailed {
			t.Error("who is barred counts as alive")
		}
		w.waitFor(time.Minute, "Serf finds it failed", says(fleet.MemberFailed))
		for range 12 {
			<-time.After(10 * time.Second)
			if !says(fleet.MemberFailed)() {
				t.Fatal("it was taken back")
			}
		}
		if s := statuses(others[0])[nameOf(0)]; s != fleet.MemberAlive {
			t.Errorf("another is %s", s)
		}
		barred.Store(false)
		w.waitFor(3*time.Minute, "it is back", says(fleet.MemberAlive))
		w.stopAll()
	})
}
