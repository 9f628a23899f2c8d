package mesh

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/memberlist"
)

// A fleet whose power comes back starts all at once, and each member has the
// same long list of others to join through.
func TestAllAtOnceJoinAboutOnceEach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n, seeds = 60, 20
		h := newHerd(t, lan())
		for i := range seeds {
			h.seeds = append(h.seeds, nameOf(i)+":7946")
		}
		for range n {
			h.add(nil)
		}
		know := func() bool {
			for _, x := range h.members {
				if x.aliveNow() < n {
					return false
				}
			}
			return true
		}
		for !know() && time.Since(h.start) < 5*time.Minute {
			time.Sleep(100 * time.Millisecond)
		}
		took, first := time.Since(h.start), h.exchanges.Load()
		time.Sleep(30 * time.Second)
		all := h.exchanges.Load()
		t.Logf("%d members with %d to join through know each other after %v and %d exchanges; %d after %v", n, seeds, took, first, all, time.Since(h.start))
		// Seconds as a rule; a word that memberlist's queue loses comes with the
		// next exchange of all that is known, half a minute later.
		if !know() || took > 10*time.Second+memberlist.DefaultLANConfig().PushPullInterval {
			t.Errorf("it took %v until all know all", took)
		}
		if all > 4*n {
			t.Errorf("%d members made %d exchanges", n, all)
		}
		h.end()
	})
}
