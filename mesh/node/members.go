package node

import (
	"slices"
	"time"

	"grapevine/fleet"
)

// membership is who is there, as gossip says.
type membership struct {
	list   []fleet.Member // ordered by id; the caller's, not to be changed
	others int            // agents that are alive, without this one
	lost   []fleet.Member // agents that have failed, or that gossip has never heard of

	stale bool // lost is to be worked out again
	held  int  // hosts in the replica when it was
}

// Members takes in all members that gossip knows, ordered by id. The node
// keeps the list and does not change it; nor may the caller.
func (n *Node) Members(list []fleet.Member, now time.Time) {
	n.members.list, n.members.others, n.members.stale = list, 0, true
	for i := range list {
		if n.isOther(&list[i]) {
			n.members.others++
		}
	}
	if n.started.IsZero() {
		return
	}
	n.fillBy(now)
	n.lookForLost(now)
	n.settleEpoch(now)
}

// isOther reports whether o is an agent that is alive and not this node.
func (n *Node) isOther(o *fleet.Member) bool {
	return o.Role == fleet.RoleAgent && o.Status == fleet.MemberAlive && o.ID != n.cfg.ID
}

func (n *Node) member(id fleet.UUID) *fleet.Member {
	i, found := slices.BinarySearchFunc(n.members.list, id, func(m fleet.Member, id fleet.UUID) int { return m.ID.Compare(id) })
	if !found {
		return nil
	}
	return &n.members.list[i]
}

// lookForLost works out whom gossip has lost, when that may have changed.
func (n *Node) lookForLost(now time.Time) {
	m := &n.members
	if !m.stale && m.held == n.replica.Len() {
		return
	}
	m.stale, m.held, m.lost = false, n.replica.Len(), nil
	for i := range m.list {
		if o := &m.list[i]; o.Status == fleet.MemberFailed && o.Role == fleet.RoleAgent && o.ID != n.cfg.ID {
			m.lost = append(m.lost, *o)
		}
	}
	for b := range n.replica.Blocks() {
		if id := b.HostID(); id != n.cfg.ID && n.member(id) == nil {
			m.lost = append(m.lost, fleet.Member{ID: id, Name: b.HostName(), Role: fleet.RoleAgent})
		}
	}
	if len(m.lost) > 0 {
		if at := now.Add(n.healPause()); n.dials.healAt.IsZero() || at.Before(n.dials.healAt) {
			n.dials.healAt = at // more are lost than before
		}
	}
}
