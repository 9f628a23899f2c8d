package node

import (
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"grapevine/fleet"
)

// firstStart is how long a node waits, at a fleet's first start when nobody is
// ready yet, for the blocks of all agents that Serf lists.
const firstStart = 10 * time.Second

// Whole returns nil once this node holds the whole fleet, as far as it can
// know, and otherwise an error that says what it waits for: it has merged the
// digest of a peer that is itself whole or, at a fleet's first start, holds a
// block or a stated absence of every agent that gossip lists (it waits for
// these at most 10 s).
func (n *Node) Whole(now time.Time) error {
	if n.isWhole(now) {
		return nil
	}
	absent, err := n.unmerged(now)
	if err != nil {
		return err
	}
	const named = 3
	waiting, first := 0, make([]string, 0, named)
	for o := range n.awaited(absent) {
		if waiting++; waiting <= named {
			first = append(first, o.Name)
		}
	}
	return fmt.Errorf("waiting for %d of %d agents, first %s", waiting, n.members.others, strings.Join(first, ", "))
}

// isWhole reports whether Whole would return nil; once true it stays so. What
// it says is passed on in hellos and pulses, so that newcomers know from whom a
// digest is worth having.
func (n *Node) isWhole(now time.Time) bool {
	if n.whole {
		return true
	}
	absent, err := n.unmerged(now)
	if err != nil {
		return false
	}
	n.whole = true
	for range n.awaited(absent) {
		n.whole = false
		break
	}
	return n.whole
}

// unmerged returns why this node cannot be whole whatever it holds, or else the
// agents that have stated that there is nothing of them to be held; nil when
// nobody need be waited for.
func (n *Node) unmerged(now time.Time) (absent map[fleet.HostID]bool, err error) {
	if n.started.IsZero() {
		return nil, errors.New("the mesh is not running")
	}
	absent = map[fleet.HostID]bool{}
	for _, l := range n.links {
		if !l.peer.Merged() {
			continue
		}
		if l.ready {
			return nil, nil
		}
		absent[l.hello.ID] = !l.hello.Settled
	}
	others, patient := n.members.others, now.Sub(n.started) < firstStart
	switch {
	case others == 0 && n.cfg.Role == fleet.RoleAgent && (!n.cfg.Joins || !patient):
		return nil, nil // alone: what this agent holds is all there is
	case others == 0:
		return nil, errors.New("no agent is known yet; check join, the gossip key and the fleet's label")
	case len(absent) == 0:
		return nil, fmt.Errorf("no link to any of the %d agents known has told its digest yet", others)
	case !patient:
		return nil, nil
	default:
		return absent, nil
	}
}

// heardSinceStart reports whether a block is held that came in this life: one
// that the last life saved is too old to answer with.
func (n *Node) heardSinceStart(id fleet.HostID) bool {
	_, at, ok := n.replica.Learnt(id)
	return ok && !at.Before(n.started)
}

// awaited yields the agents that gossip lists and that are neither heard of nor
// absent; nobody where absent is nil.
func (n *Node) awaited(absent map[fleet.HostID]bool) iter.Seq[*fleet.Member] {
	return func(yield func(*fleet.Member) bool) {
		for i := range n.members.list {
			o := &n.members.list[i]
			if absent != nil && n.isOther(o) && !n.heardSinceStart(o.ID) && !absent[o.ID] && !yield(o) {
				return
			}
		}
	}
}
