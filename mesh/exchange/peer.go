package exchange

import (
	"time"

	"grapevine/fleet"
	"grapevine/mesh/wire"
)

// Peer is the other end of one link: what it has and lacks.
type Peer struct {
	ID      fleet.UUID
	Dialled bool // by this node
	wake    func()
	tag     wire.Tag // of ID
	slot    slots    // the one bit that stands for this peer

	// What is to be sent.
	sendRoot      bool
	sendBuckets   *wire.BucketDigests
	sendParts     *wire.PartDigests
	sendRows      *wire.Rows // its Entries are filled in when it is sent
	says          says
	flush         bool // the news up to here
	catchUp       bool // what was left to others
	versionCursor uint64
	laterCursor   uint64
	beatCursor    uint64
	asking        backlog[wire.Tag] // wants to send; void where the want does not say so too
	requests      backlog[request]  // wants of the peer to answer
	push          bool              // the own block, to a peer that holds
	holds         mark              // of it, as far as is known
	out           outgoing

	// What is going on.
	around   around
	asked    asked         // wants sent
	progress time.Time     // last answer
	timed    bool          // by RoundTrip
	fastest  time.Duration // round trip

	// The digest: which hosts of it are still to come.
	compared bool
	awaiting map[wire.Tag]bool
	merged   bool

	announced, wanted, redundant uint64
}

// Merged reports whether this node has held, at some time since the link came
// up, all that the peer held.
func (p *Peer) Merged() bool { return p.merged }

// Announced counts the versions announced to the peer, or pushed to it.
func (p *Peer) Announced() uint64 { return p.announced }

// Wanted counts the hosts asked of the peer.
func (p *Peer) Wanted() uint64 { return p.wanted }

// Redundant counts the answers of the peer that brought nothing new.
func (p *Peer) Redundant() uint64 { return p.redundant }

// Dirty returns how many hosts the peer still has to be told of.
func (e *Exchange) Dirty(p *Peer) int { return e.versions.pending(p) }

// outgoing is the messages that travel with every change, made anew in the same
// memory.
type outgoing struct {
	announce wire.Announce
	want     wire.Want
	answer   wire.Answer
	rows     []wire.Row // of answer, those that did not need memory of their own
	added    int        // rows in answer
	size     int        // bytes of these
}

// keptItems is up to how many items a message keeps its memory.
const keptItems = 1024

// Next returns the next message for p, or nil when there is none now: p's wake
// is called when that changes. Bulk comes last, so that it holds up nothing
// else for longer than one frame. A message is p's own and valid until Next
// returns another of its kind, which it does not before one that is Bulk.
func (e *Exchange) Next(p *Peer, now time.Time) wire.Message {
	switch {
	case p.sendRoot:
		p.sendRoot = false
		return &wire.Root{Root: e.replica.Root()}
	case p.sendBuckets != nil:
		m := p.sendBuckets
		p.sendBuckets = nil
		return m
	case p.sendParts != nil:
		m := p.sendParts
		p.sendParts = nil
		return m
	case p.sendRows != nil:
		return e.nextRows(p)
	case p.says == saysNow:
		return e.sayPeers(p)
	}
	if m := e.nextWant(p); m != nil {
		return m
	}
	if p.flush || p.catchUp {
		if m := e.nextAnnounce(p); m != nil {
			return m
		}
	}
	for p.push || p.requests.len() > 0 {
		if m := e.nextAnswer(p, now); m != nil {
			return m
		}
	}
	return nil
}

// Bulk reports whether m is so large that it should be written before Next is
// called again.
func Bulk(m wire.Message) bool {
	switch m := m.(type) {
	case *wire.Answer:
		return true
	case *wire.Announce:
		return len(m.Items) >= announceBatch
	default:
		return false
	}
}

// Load is what an exchange keeps at a moment beside its hosts. Each is bounded.
type Load struct {
	Hosts, Wants         int
	News, BeatNews       int // places in the logs, the empty ones included
	Asking, Requests     int // over all peers
	Asked, Open, Offered int
}

// Load counts what is kept.
func (e *Exchange) Load() Load {
	l := Load{Hosts: len(e.hosts), Wants: e.wants.Len(), News: len(e.versions.log) + len(e.later.log), BeatNews: len(e.beats.log)}
	for _, p := range e.peers {
		l.Asking += p.asking.len()
		l.Requests += p.requests.len()
		l.Asked += p.asked.queue.len()
		l.Open += p.asked.open
	}
	for _, w := range e.wants.All() {
		l.Offered += len(w.offers)
	}
	return l
}
