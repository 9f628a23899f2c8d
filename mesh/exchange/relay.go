package exchange

import (
	"fmt"
	"math/bits"
	"slices"

	"grapevine/mesh/wire"
)

// News need not be told to a peer whom another node tells anyway. Each node says
// with whom it has links; so, of news that one peer brought, a node knows which
// of its other peers that one tells itself, and for whom there are further nodes
// linked with both: of these and itself the one that ranks first for the host
// tells them. In a fleet of ten, where nearly all are linked with nearly all, few
// announcements remain; in one of thousands there is little to leave out. Lists
// are as old as the last pulse and links fail, so what is left to others is told
// with the next pulse to those who have not said by then that they hold it.

// around is what a peer said of its own links.
type around struct {
	linked []wire.Tag // with whom, in order, this node left out
	tells  slots      // those of this node's peers that are among them
	shares slots      // those that are not, but have links with some of them
}

// says is when a peer is told with whom this node has links.
type says uint8

const (
	saysNothing says = iota
	saysWithPulse
	saysNow
)

// sayPeers tells p with whom this node has links.
func (e *Exchange) sayPeers(p *Peer) wire.Message {
	p.says = saysNothing
	m := &wire.Peers{Tags: make([]wire.Tag, 0, len(e.peers))}
	for _, other := range e.peers {
		m.Tags = append(m.Tags, other.tag)
	}
	return m
}

func (e *Exchange) receivePeers(p *Peer, m *wire.Peers) error {
	if len(m.Tags) > maxPeers {
		return fmt.Errorf("%w: links with %d peers, at most %d are kept", ErrProtocol, len(m.Tags), maxPeers)
	}
	linked := slices.DeleteFunc(slices.Clone(m.Tags), func(t wire.Tag) bool { return t == e.tag })
	slices.Sort(linked)
	p.around.linked = slices.Compact(linked)
	e.lookAround()
	return nil
}

// peersChanged makes all peers be told of it with the next pulse.
func (e *Exchange) peersChanged() {
	for _, p := range e.peers {
		p.says = max(p.says, saysWithPulse)
	}
	e.lookAround()
}

// lookAround works out who of this node's peers tells which other.
func (e *Exchange) lookAround() {
	for _, p := range e.peers {
		p.around.tells, p.around.shares = 0, 0
		for _, q := range e.peers {
			if _, linked := slices.BinarySearch(p.around.linked, q.tag); linked {
				p.around.tells |= q.slot
			} else if q != p && common(p, q, func(wire.Tag) bool { return true }) {
				p.around.shares |= q.slot
			}
		}
	}
}

// leftToOthers returns which peers others tell the news of a host that came
// from a peer.
func (e *Exchange) leftToOthers(from *Peer, host wire.Tag) slots {
	left, own := from.around.tells, rank(e.tag, host)
	for rest := from.around.shares; rest != 0; rest &= rest - 1 {
		q := e.bySlot[bits.TrailingZeros64(uint64(rest))]
		if common(from, q, func(relay wire.Tag) bool { return relay == host || rank(relay, host) < own }) {
			left |= q.slot
		}
	}
	return left
}

// rank orders the nodes that could pass on the news of a host, differently for
// each host.
func rank(relay, host wire.Tag) uint32 {
	const odd = 0x9E3779B1 // 2^32 over the golden ratio, as in Fibonacci hashing
	return uint32(relay^host) * odd
}

// common reports whether one that both p and q have links with satisfies f.
func common(p, q *Peer, f func(wire.Tag) bool) bool {
	a, b := p.around.linked, q.around.linked
	for len(a) > 0 && len(b) > 0 {
		switch {
		case a[0] < b[0]:
			a = a[1:]
		case a[0] > b[0]:
			b = b[1:]
		case f(a[0]):
			return true
		default:
			a, b = a[1:], b[1:]
		}
	}
	return false
}

// CatchUp is called with every pulse: all peers may be told what was left to
// others to tell them, and with whom this node has links.
func (e *Exchange) CatchUp() {
	for _, p := range e.peers {
		p.catchUp = p.laterCursor < e.later.end()
		if p.says == saysWithPulse {
			p.says = saysNow
		}
	}
}
