package exchange

import (
	"errors"
	"fmt"
	"math/bits"
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
	id      fleet.UUID // of this node
	tag     wire.Tag   // of id
	owner   bool       // it owns the block of host id

	hosts    map[wire.Tag]*host // all that the replica holds
	room     []host             // for further ones
	versions news
	later    news // versions that were left to others to tell
	beats    news
	flushAt  time.Time // when the news of versions go out; zero: there are none
	pace     pace

	peers    []*Peer         // in the order of connecting
	bySlot   [maxPeers]*Peer // the same
	slots    slots           // taken
	wants    ordered[wire.Tag, *want]
	spare    []*want  // settled ones
	answered []uint64 // used while an answer is taken in
	beat     uint64   // last beat of the own block in its epoch

	heardSelf mark       // newest version of self that peers were heard of
	life      *wire.Life // the same in full, until TakeSelf

	// Rejected, where set, is called for every delta that was refused.
	Rejected func(p *Peer, host fleet.HostID, err error)

	stats Stats
}

// Stats counts since the start.
type Stats struct {
	Applied, Stale, NeedWhole, Refused uint64 // deltas received, by result
	Unproven                           uint64 // of those refused, the ones whose head their host did not sign
	RowsApplied                        uint64 // rows in applied deltas
	Announced, Heard                   uint64 // announcements sent and received
	BeatsSent, BeatsHeard              uint64 // signs of life sent, and those received that were new
	Wanted, Answered                   uint64 // hosts asked for, and deltas sent
	Pushed                             uint64 // of the deltas sent, those that nobody had asked for
	Timeouts                           uint64 // wants that a peer did not answer in time
	RootsEqual, RootsDiffer            uint64 // digest comparisons
}

// New returns the exchange of node id, which is the owner of the block of the
// host with that id, or of none. It becomes the writer of r. Phase, up to 20 ms,
// is when the node's ticks are; nodes draw it at random.
func New(id fleet.UUID, owner bool, r *replica.Replica, phase time.Duration) *Exchange {
	e := &Exchange{
		replica: r, id: id, tag: wire.TagOf(id), owner: owner,
		hosts: map[wire.Tag]*host{}, pace: pace{interval: minFlush, phase: phase},
		versions: newNews(func(h *host) *place { return &h.version }, func(p *Peer) *uint64 { return &p.versionCursor }),
		later:    newNews(func(h *host) *place { return &h.later }, func(p *Peer) *uint64 { return &p.laterCursor }),
		beats:    newNews(func(h *host) *place { return &h.heard }, func(p *Peer) *uint64 { return &p.beatCursor }),
	}
	for b := range r.Blocks() {
		h := e.hostOf(wire.TagOf(b.HostID()), b.HostID())
		h.block, h.mark = b, markOf(b.Head())
	}
	return e
}

// Stats returns the counters.
func (e *Exchange) Stats() Stats { return e.stats }

// Peers returns the peers that are connected, in the order of connecting.
func (e *Exchange) Peers() []*Peer { return e.peers }

// Connect adds a peer whose link just came up, or returns nil when there are
// 64 already. The side that dialled opens the comparison of digests. wake is
// called whenever Next may have something new for the peer; it must not call
// back into the exchange.
func (e *Exchange) Connect(id fleet.UUID, dialled bool, wake func(), now time.Time) *Peer {
	free := bits.TrailingZeros64(^uint64(e.slots))
	if free >= maxPeers {
		return nil
	}
	p := &Peer{
		ID: id, Dialled: dialled, wake: wake, tag: wire.TagOf(id), slot: 1 << free, sendRoot: dialled, says: saysNow, progress: now,
		versionCursor: e.versions.end(), laterCursor: e.later.end(), beatCursor: e.beats.end(), asked: asked{first: 1},
	}
	e.slots |= p.slot
	e.bySlot[free] = p
	e.peers = append(e.peers, p)
	e.peersChanged()
	return p
}

// Disconnect removes a peer; what was asked of it is asked of others.
func (e *Exchange) Disconnect(p *Peer, now time.Time) {
	e.peers = slices.DeleteFunc(e.peers, func(q *Peer) bool { return q == p })
	e.slots &^= p.slot
	e.bySlot[bits.TrailingZeros64(uint64(p.slot))] = nil
	e.peersChanged()
	for tag := range e.hosts {
		for h := range e.tagged(tag) {
			h.version.known &^= p.slot
			h.later.known &^= p.slot
			h.heard.known &^= p.slot
		}
	}
	for tag, w := range e.wants.All() {
		w.offers = slices.DeleteFunc(w.offers, func(o offer) bool { return o.peer == p })
		w.tried &^= p.slot
		w.queued &^= p.slot
		if w.from == p {
			e.assign(tag, w, now)
		}
	}
	e.trim(&e.versions)
	e.trim(&e.later)
	e.trim(&e.beats)
}

// Compare opens a comparison of digests with p. Only the side that dialled
// does so, every 30 s.
func (e *Exchange) Compare(p *Peer) {
	p.sendRoot = true
	p.wake()
}

// Install installs the next block of the own host. It is announced at the next
// tick, or at once by AnnounceSelf.
func (e *Exchange) Install(b *replica.Block, now time.Time) {
	if b.Head().Seq <= 1 {
		e.beat = 0 // a new epoch
	}
	if !e.replica.Install(b, now) {
		return
	}
	e.beat++
	e.replica.Heard(e.id, replica.Sign{Epoch: b.Head().Epoch, Beat: e.beat, At: now})
	h := e.hostOf(e.tag, e.id)
	h.block, h.mark = b, markOf(b.Head())
	e.settle(e.tag)
}

// AnnounceSelf tells all peers of the own block, in its newest version, at
// once: what an origin has to say nobody else can have said yet.
func (e *Exchange) AnnounceSelf(now time.Time) {
	if e.owner && e.replica.Block(e.id) != nil && len(e.peers) > 0 {
		e.put(&e.versions, e.hostOf(e.tag, e.id), 0)
		e.flushAt = now
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
	if b := e.replica.Block(e.id); b != nil && m.compare(markOf(b.Head())) <= 0 {
		return // an older life, or this one
	}
	if m.compare(e.heardSelf) >= 0 {
		e.heardSelf = m
		e.life = &l
	}
}

// SelfHeard reports whether TakeSelf has something.
func (e *Exchange) SelfHeard() bool { return e.life != nil }

// Wanted returns the newest version of a host that was announced and is not
// held yet, or zero.
func (e *Exchange) Wanted(id fleet.HostID) fleet.Version {
	tag := wire.TagOf(id)
	w, ok := e.wants.Get(tag)
	if !ok || !e.lacks(tag, w.mark) {
		return fleet.Version{}
	}
	return fleet.Version{Host: id, Epoch: w.mark.epoch, Seq: w.mark.seq}
}

// Receive takes a message from p. An error that wraps ErrProtocol means that
// the link is to be closed.
func (e *Exchange) Receive(p *Peer, m wire.Message, now time.Time) error {
	switch m := m.(type) {
	case *wire.Announce:
		return e.receiveAnnounce(p, m, now)
	case *wire.Want:
		return e.receiveWant(p, m)
	case *wire.Answer:
		return e.receiveAnswer(p, m, now)
	case *wire.Beats:
		e.receiveBeats(p, m, now)
	case *wire.Peers:
		return e.receivePeers(p, m)
	case *wire.Root:
		e.receiveRoot(p, m)
	case *wire.BucketDigests:
		e.receiveBuckets(p, m)
	case *wire.PartDigests:
		e.receiveParts(p, m)
	case *wire.Rows:
		return e.receiveRows(p, m, now)
	default:
		return fmt.Errorf("%w: unexpected %T", ErrProtocol, m)
	}
	return nil
}
