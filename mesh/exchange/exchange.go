package exchange

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"grapevine/fleet"
	"grapevine/mesh/replica"
	"grapevine/mesh/wire"
)

// ErrProtocol is wrapped by errors of Receive: the peer breaks the protocol
// and its link is to be closed.
var ErrProtocol = errors.New("protocol violation")

// maxOutstanding bounds what one node wants and what one peer may ask for:
// four times the hosts of the size plan.
const maxOutstanding = 4 * fleet.MaxHosts

// Exchange is one node's side of all its links.
type Exchange struct {
	replica *replica.Replica
	owner   bool // this node owns the block of host self
	self    fleet.HostID
	selfTag wire.Tag

	peers []*Peer // in the order of connecting
	wants ordered[wire.Tag, *want]
	beat  uint64 // last beat of the own block in its epoch

	heardSelf mark       // newest version of self that peers were heard of
	life      *wire.Life // the same in full, until TakeSelf

	// Rejected, where set, is called for every delta that was refused.
	Rejected func(p *Peer, host fleet.HostID, err error)

	stats Stats
}

// Stats counts since the start.
type Stats struct {
	Applied, Stale, NeedWhole, Refused uint64 // deltas received, by result
	RowsApplied                        uint64 // rows in applied deltas
	Announced, Heard                   uint64 // announcements sent and received
	Wanted, Answered                   uint64 // hosts asked for, and deltas sent
	Timeouts                           uint64 // wants that a peer did not answer in time
	RootsEqual, RootsDiffer            uint64 // digest comparisons
}

// New returns the exchange of a node that owns the block of host self, or no
// block when self is zero. It becomes the writer of r.
func New(self fleet.HostID, r *replica.Replica) *Exchange {
	return &Exchange{replica: r, owner: !self.IsZero(), self: self, selfTag: wire.TagOf(self)}
}

// Stats returns the counters.
func (e *Exchange) Stats() Stats { return e.stats }

// Peers returns the peers that are connected, in the order of connecting.
func (e *Exchange) Peers() []*Peer { return e.peers }

// Connect adds a peer whose link just came up. The side that dialled opens the
// comparison of digests. wake is called whenever Next may have something new
// for the peer; it must not call back into the exchange.
func (e *Exchange) Connect(id fleet.UUID, dialled bool, wake func(), now time.Time) *Peer {
	p := &Peer{ID: id, Dialled: dialled, wake: wake, sendRoot: dialled, progress: now, interval: minFlush}
	e.peers = append(e.peers, p)
	return p
}

// Disconnect removes a peer; what was asked of it is asked of others.
func (e *Exchange) Disconnect(p *Peer, now time.Time) {
	e.peers = slices.DeleteFunc(e.peers, func(q *Peer) bool { return q == p })
	for tag, w := range e.wants.All() {
		if w.from == p {
			e.assign(tag, w, now)
		}
	}
}

// Compare opens a comparison of digests with p. Only the side that dialled
// does so, every 30 s.
func (e *Exchange) Compare(p *Peer) {
	p.sendRoot = true
	p.wake()
}

// Published installs the next block of the own host and announces it.
func (e *Exchange) Published(b *replica.Block, now time.Time) {
	e.Install(b, now)
	e.AnnounceSelf()
}

// Install installs the next block of the own host without telling anyone yet:
// AnnounceSelf does that.
func (e *Exchange) Install(b *replica.Block, now time.Time) {
	if b.Head().Seq <= 1 {
		e.beat = 0 // a new epoch
	}
	if e.replica.Install(b, now) {
		e.Beat(now)
		e.settle(e.selfTag)
	}
}

// Beat gives the own block a new sign of life. AnnounceSelf tells the peers.
func (e *Exchange) Beat(now time.Time) {
	if b := e.replica.Block(e.self); e.owner && b != nil {
		e.beat++
		e.replica.Heard(e.self, replica.Sign{Epoch: b.Head().Epoch, Beat: e.beat, At: now})
	}
}

// AnnounceSelf tells all peers of the own block, in its newest version and
// with its newest beat.
func (e *Exchange) AnnounceSelf() {
	if e.owner && e.replica.Block(e.self) != nil {
		e.spread(e.self, nil)
	}
}

// TakeSelf returns the newest version of the own host that peers hold and that
// was heard since the last call, where it is not one that this node published
// in its present life.
func (e *Exchange) TakeSelf() (wire.Life, bool) {
	life := e.life
	e.life = nil
	if life == nil {
		return wire.Life{}, false
	}
	return *life, true
}

// HearSelf notes what a peer says it holds of the own host.
func (e *Exchange) HearSelf(l wire.Life) {
	m := mark{l.Epoch, l.Incarnation, l.Seq}
	if b := e.replica.Block(e.self); b != nil && m.compare(markOf(b.Head())) <= 0 {
		return // an older life, or this one
	}
	if m.compare(e.heardSelf) >= 0 {
		e.heardSelf = m
		e.life = &l
	}
}

// Wanted returns the newest version of a host that was announced and is not
// held yet, or zero.
func (e *Exchange) Wanted(id fleet.HostID) fleet.Version {
	w, ok := e.wants.Get(wire.TagOf(id))
	if !ok || !e.lacks(wire.TagOf(id), w.mark) {
		return fleet.Version{}
	}
	return fleet.Version{Host: id, Epoch: w.mark.epoch, Seq: w.mark.seq}
}

// Receive takes a message from p. An error that wraps ErrProtocol means that
// the link is to be closed.
func (e *Exchange) Receive(p *Peer, m wire.Message, now time.Time) error {
	switch m := m.(type) {
	case *wire.Root:
		e.receiveRoot(p, m)
	case *wire.BucketDigests:
		e.receiveBuckets(p, m)
	case *wire.Rows:
		return e.receiveRows(p, m, now)
	case *wire.Announce:
		return e.receiveAnnounce(p, m, now)
	case *wire.Want:
		return e.receiveWant(p, m)
	case *wire.Answer:
		return e.receiveAnswer(p, m, now)
	default:
		return fmt.Errorf("%w: unexpected %T", ErrProtocol, m)
	}
	return nil
}

// SelfHeard reports whether TakeSelf has something.
func (e *Exchange) SelfHeard() bool { return e.life != nil }
