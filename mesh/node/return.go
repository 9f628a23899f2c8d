package node

import (
	"slices"
	"time"

	"grapevine/fleet"
	"grapevine/mesh/wire"
)

// Return is what peers have told an agent of earlier lives of its host, and how
// much of the fleet it has taken in since it started.
type Return struct {
	// Epoch is the last one that this host had stored before it started; 0 for a
	// host that never published.
	Epoch uint64
	// Held says that peers hold a block of an earlier life of the host. Age is
	// then the smallest time, of all that they told, since the host was surely
	// alive; false where none of them knows.
	Held     bool
	Age      time.Duration
	AgeKnown bool
	// Others counts the other agents that gossip says are alive, Merged those of
	// which this node has taken in all that they hold.
	Others, Merged int
	// Alone says that there is nobody to join through, and nobody there.
	Alone bool
	// Whole says that this node holds the whole fleet, as far as it can know.
	Whole bool
}

// hearAge takes in what a peer told of a life of this host before this one.
func (e *epoch) hearAge(yours *wire.Life) {
	r := &e.told
	if slices.Contains(e.ours, yours.Incarnation) {
		return // it tells of this life
	}
	r.Held = true
	if yours.AgeMS == nil {
		return
	}
	age := time.Duration(min(*yours.AgeMS, maxAgeMS)) * time.Millisecond
	if !r.AgeKnown || age < r.Age {
		r.Age, r.AgeKnown = age, true
	}
}

// maxAgeMS is a hundred years: more is a peer's mistake.
const maxAgeMS = 100 * 365 * 24 * 3600 * 1000

// Returned says how the host has come back.
func (n *Node) Returned(now time.Time) Return {
	r := n.epoch.told
	r.Epoch, r.Others = n.cfg.Epoch, n.members.others
	for _, l := range n.links {
		if l.peer.Merged() && l.hello.Role == fleet.RoleAgent {
			r.Merged++
		}
	}
	r.Alone = r.Others == 0 && !n.cfg.Joins
	r.Whole = n.isWhole(now)
	return r
}
