package node

import (
	"errors"
	"slices"
	"time"

	"grapevine/fleet"
	"grapevine/mesh/wire"
)

const (
	// redrawEvery is how often one outbound link is replaced by one to another
	// peer, so that no two halves of a fleet can stay apart for long.
	redrawEvery = time.Minute
	// healEvery is how often a member that gossip has lost is dialled.
	healEvery = 2 * time.Second
	// A peer that could not be dialled is left alone for a while, doubling: not
	// for long, because a cut that heals should be over soon. One that does not
	// want the link is left alone for longer.
	minRedial    = 500 * time.Millisecond
	maxRedial    = 3 * time.Second
	maxUnwanted  = 30 * time.Second
	reconnectMax = 250 * time.Millisecond // jitter after a link was lost
)

// Dial is an agent that the node wants a link with.
type Dial struct {
	ID   fleet.UUID
	Name string
	// Addresses are host:port to try in turn: what its gossip tells and what its
	// own block tells.
	Addresses []string

	redraw bool // in place of the oldest link
	heal   bool // gossip has lost it
}

// dials is what is known of dialling: who is being dialled, who is left alone
// for a while because it failed, and when there is more to do.
type dials struct {
	busy  map[fleet.UUID]bool
	later map[fleet.UUID]redial

	fillAt   time.Time // when links may be missing
	redrawAt time.Time
	healAt   time.Time // zero while nobody is lost
	denyAt   time.Time // zero while gossip says of no peer that it has left
}

type redial struct {
	at   time.Time
	wait time.Duration
}

func (n *Node) dialFailed(id fleet.UUID, most time.Duration, now time.Time) {
	wait := min(max(2*n.dials.later[id].wait, minRedial), most)
	n.dials.later[id] = redial{at: now.Add(n.jitter(wait)), wait: wait}
}

func (n *Node) fillBy(at time.Time) { n.dials.fillAt = earliest(n.dials.fillAt, at) }

func earliest(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}

func (n *Node) tickDials(now time.Time) {
	if n.closed {
		n.dials.fillAt, n.dials.redrawAt, n.dials.healAt, n.dials.denyAt = time.Time{}, time.Time{}, time.Time{}, time.Time{}
		return
	}
	if due(n.dials.fillAt, now) {
		n.dials.fillAt = time.Time{}
		if need := n.cfg.Links - len(n.dials.busy) - n.outbound(); need > 0 && n.draw(need, false, now) {
			n.dials.fillAt = now.Add(minRedial)
		}
	}
	if due(n.dials.redrawAt, now) {
		n.dials.redrawAt = now.Add(n.jitter(redrawEvery))
		n.draw(1, true, now)
	}
	if due(n.dials.healAt, now) {
		n.heal(now)
	}
	if due(n.dials.denyAt, now) {
		n.deny()
	}
}

func (n *Node) outbound() int {
	count := 0
	for _, l := range n.links {
		if l.outbound && l.bye == nil {
			count++
		}
	}
	return count
}

func (n *Node) linked(id fleet.UUID) *Link {
	for _, l := range n.links {
		if l.hello.ID == id && l.bye == nil {
			return l
		}
	}
	return nil
}

// draw dials up to need random agents that there is no link with. It reports
// whether there would have been more to dial but for their back-off.
func (n *Node) draw(need int, redraw bool, now time.Time) (resting bool) {
	list := n.members.list
	if len(list) == 0 {
		return false
	}
	// A walk around all members in a random order, of which mostly the first
	// few steps are taken.
	at, stride := n.cfg.Rand.IntN(len(list)), 1+n.cfg.Rand.IntN(len(list))
	for gcd(stride, len(list)) != 1 {
		stride = 1 + n.cfg.Rand.IntN(len(list))
	}
	for range list {
		if need == 0 {
			break
		}
		o := &list[at]
		at = (at + stride) % len(list)
		if !n.isOther(o) || n.dials.busy[o.ID] || n.linked(o.ID) != nil {
			continue
		}
		if now.Before(n.dials.later[o.ID].at) {
			resting = true
			continue
		}
		need--
		n.dialMember(o, redraw, false)
	}
	return resting && need > 0
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

func (n *Node) dialMember(o *fleet.Member, redraw, heal bool) {
	d := &Dial{ID: o.ID, Name: o.Name, redraw: redraw, heal: heal}
	if o.API != "" {
		d.Addresses = append(d.Addresses, o.API)
	}
	if b := n.replica.Block(o.ID); b != nil {
		if h, ok := b.Host(); ok && h.API != "" && !slices.Contains(d.Addresses, h.API) {
			d.Addresses = append(d.Addresses, h.API)
		}
	}
	n.dials.busy[o.ID] = true
	n.world.Dial(d)
}

// Dialled takes in the stream that Dial opened, or why there is none.
func (n *Node) Dialled(d *Dial, err error, now time.Time) *Link {
	if err == nil && n.closed {
		err = errors.New("the mesh is not running")
	}
	if err != nil {
		delete(n.dials.busy, d.ID)
		n.dialFailed(d.ID, maxRedial, now)
		n.fillBy(now.Add(n.random(reconnectMax)))
		n.cfg.Log.Debug("link not opened", "peer", d.ID, "peer_name", d.Name, "error", err)
		return nil
	}
	l := &Link{outbound: true, dial: d, must: d.ID, opened: now, heard: now, sayHello: true}
	n.greeted = append(n.greeted, l)
	n.arm(now.Add(helloTimeout))
	return l
}

// dialSucceeded takes note that a dial became a link.
func (n *Node) dialSucceeded(l *Link, now time.Time) {
	d := l.dial
	if d == nil {
		return
	}
	delete(n.dials.busy, d.ID)
	delete(n.dials.later, d.ID)
	if d.redraw {
		n.dropOldest(l)
	}
	if d.heal {
		n.cfg.Log.Info("lost agent answers", "peer", d.ID, "peer_name", d.Name)
		n.rejoin(l)
	}
	n.fillBy(now)
}

// dialEnded takes note that a link is over; one that the peer did not want is
// not tried again at once.
func (n *Node) dialEnded(l *Link, now time.Time) {
	n.fillBy(now.Add(n.random(reconnectMax)))
	if l.dial == nil {
		return
	}
	if l.peer == nil {
		delete(n.dials.busy, l.dial.ID)
	}
	switch {
	case l.farewell != nil && l.farewell.Reason != wire.ByeDuplicate, l.peer == nil && l.bye != nil:
		n.dialFailed(l.dial.ID, maxUnwanted, now)
	case l.peer == nil:
		n.dialFailed(l.dial.ID, maxRedial, now)
	}
}

// dropOldest ends the oldest outbound link when there are more than
// configured.
func (n *Node) dropOldest(except *Link) {
	if n.outbound() <= n.cfg.Links {
		return
	}
	for _, l := range n.links { // oldest first
		if l.outbound && l != except && l.bye == nil {
			n.end(l, wire.ByeRedrawn, "another peer was drawn")
			return
		}
	}
}

// heal dials a random agent that gossip has lost: after a cut longer than
// Serf's own memory this is what brings two halves together again. A success
// is an extra link, which settles into the others with the next redraw, and a
// Serf join.
func (n *Node) heal(now time.Time) {
	n.dials.healAt = time.Time{}
	if len(n.members.lost) == 0 {
		return
	}
	n.dials.healAt = now.Add(n.healPause())
	var unlinked []*fleet.Member
	for i := range n.members.lost {
		o := &n.members.lost[i]
		if l := n.linked(o.ID); l != nil {
			n.rejoin(l)
		} else if !n.dials.busy[o.ID] {
			unlinked = append(unlinked, o)
		}
	}
	if len(unlinked) > 0 {
		n.dialMember(unlinked[n.cfg.Rand.IntN(len(unlinked))], false, true)
	}
}

// healers is how many nodes dial one lost agent in each healEvery: in a large
// fleet all of them at once would be a storm of handshakes.
const healers = 8

// healPause is how long to wait before the next lost agent is dialled, so that
// each of them is dialled by some nodes every healEvery whatever the fleet's
// size.
func (n *Node) healPause() time.Duration {
	share := max(n.members.others/(healers*max(len(n.members.lost), 1)), 1)
	return n.jitter(healEvery * time.Duration(share))
}

// rejoin brings the gossip of a lost agent that a link has reached back
// together with this node's.
func (n *Node) rejoin(l *Link) {
	if l.hello.Gossip != "" {
		n.world.Join(l.hello.Gossip)
	}
}
