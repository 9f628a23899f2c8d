package node

import (
	"slices"
	"time"

	"grapevine/fleet"
)

// An agent that is restarted says that it leaves, and is soon back. Gossip may
// bring a member the word that it is back first, and that it left afterwards;
// the latter has the higher number, for an agent counts anew in each life. From
// then on that member sends no gossip to whom it believes gone, so nothing
// contradicts it, for half a minute and more. A link with the agent does, at
// once: a join through it tells the agent what is said of it, which it denies.

// lookForMissaid sees to it that a peer of whom gossip says that it has left is
// joined. It really leaves when its link is over by then.
func (n *Node) lookForMissaid(now time.Time) {
	if n.dials.denyAt.IsZero() && slices.ContainsFunc(n.links, n.missaid) {
		n.dials.denyAt = now.Add(n.jitter(healEvery))
	}
}

// missaid reports whether gossip says that the peer of a link has left.
func (n *Node) missaid(l *Link) bool {
	if l.bye != nil || l.over {
		return false
	}
	m := n.member(l.hello.ID)
	return m != nil && m.Status == fleet.MemberLeft
}

// deny joins a peer that has not left.
func (n *Node) deny() {
	n.dials.denyAt = time.Time{}
	if i := slices.IndexFunc(n.links, n.missaid); i >= 0 {
		n.rejoin(n.links[i])
	}
}
