package node

import (
	"errors"
	"fmt"
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
func (n *Node) Whole(now time.Time) error { return n.evaluate(now) }

// evaluate is Whole; once nil it stays so. What it says is passed on in hellos
// and pulses, so that newcomers know from whom a digest is worth having.
func (n *Node) evaluate(now time.Time) error {
	if n.whole {
		return nil
	}
	err := n.missing(now)
	n.whole = err == nil
	return err
}

func (n *Node) missing(now time.Time) error {
	if n.started.IsZero() {
		return errors.New("the mesh is not running")
	}
	merged, absent, patient := false, map[fleet.HostID]bool{}, now.Sub(n.started) < firstStart
	for _, l := range n.links {
		if !l.peer.Merged() {
			continue
		}
		if l.ready {
			return nil
		}
		merged = true
		absent[l.hello.ID] = !l.hello.Settled
	}
	others := n.members.others
	switch {
	case others == 0 && n.cfg.Role == fleet.RoleAgent && (!n.cfg.Joins || !patient):
		return nil // alone: what this agent holds is all there is
	case others == 0:
		return errors.New("no agent is known yet; check join, the gossip key and the fleet's label")
	case !merged:
		return fmt.Errorf("no link to any of the %d agents known has told its digest yet", others)
	case !patient:
		return nil
	}
	const named = 3
	waiting, first := 0, make([]string, 0, named)
	for i := range n.members.list {
		if o := &n.members.list[i]; n.isOther(o) && n.replica.Block(o.ID) == nil && !absent[o.ID] {
			if waiting++; waiting <= named {
				first = append(first, o.Name)
			}
		}
	}
	if waiting > 0 {
		return fmt.Errorf("waiting for %d of %d agents, first %s", waiting, others, strings.Join(first, ", "))
	}
	return nil
}
