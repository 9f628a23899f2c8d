package exchange

import (
	"time"

	"grapevine/fleet"
	"grapevine/mesh/wire"
)

// The flush interval of announcements: short while little is to be said,
// longer when batches get large, so that a busy link carries fewer frames.
const (
	minFlush   = 5 * time.Millisecond
	maxFlush   = 20 * time.Millisecond
	largeBatch = 64 // announcements; from here on the interval doubles
	// announceBatch is how many announcements one frame carries at most.
	announceBatch = 4096
)

// Peer is the other end of one link: what it has and lacks, as sets of hosts.
type Peer struct {
	ID      fleet.UUID
	Dialled bool // by this node
	wake    func()

	// What is to be sent.
	sendRoot    bool
	sendBuckets *wire.BucketDigests
	sendRows    *wire.Rows // its Entries are filled in when it is sent
	dirty       ordered[fleet.HostID, struct{}]
	asking      ordered[wire.Tag, bool]          // wants to send; true: ask for the whole block
	requests    ordered[wire.Tag, wire.WantItem] // wants of the peer to answer
	flushed     time.Time                        // last announcement
	interval    time.Duration

	// What is going on.
	offers   map[wire.Tag]mark  // what the peer announced and this node still lacks
	asked    map[wire.Tag]query // wants sent and not answered
	progress time.Time          // last answer

	// The digest: which hosts of it are still to come.
	compared bool
	awaiting map[wire.Tag]bool
	merged   bool

	announced, wanted uint64
	asks              uint64 // number of the last want
}

// query is a want as it was sent.
type query struct {
	head   wire.Head // of the version named, with its host; zero for none
	number uint64
}

// Merged reports whether this node has held, at some time since the link came
// up, all that the peer held.
func (p *Peer) Merged() bool { return p.merged }

// Dirty returns how many hosts the peer still has to be told of.
func (p *Peer) Dirty() int { return p.dirty.Len() }

// Announced and Wanted count announcements sent to the peer and hosts asked
// of it.
func (p *Peer) Announced() uint64 { return p.announced }

// Wanted counts the hosts asked of the peer.
func (p *Peer) Wanted() uint64 { return p.wanted }

// Due returns when Next will have something for the peer: zero for nothing,
// else a moment which may be past.
func (p *Peer) Due(now time.Time) time.Time {
	switch {
	case p.sendRoot, p.sendBuckets != nil, p.sendRows != nil, p.mayAsk(), p.requests.Len() > 0:
		return now
	case p.dirty.Len() > 0:
		return p.flushed.Add(p.interval)
	default:
		return time.Time{}
	}
}

// Next returns the next message for p, or nil when there is none now: Due says
// when to ask again. Announcements wait for the flush interval; bulk comes
// last, so that it holds up nothing else for longer than one frame.
func (e *Exchange) Next(p *Peer, now time.Time) wire.Message {
	switch {
	case p.sendRoot:
		p.sendRoot = false
		return &wire.Root{Root: e.replica.Root()}
	case p.sendBuckets != nil:
		m := p.sendBuckets
		p.sendBuckets = nil
		return m
	case p.sendRows != nil:
		return e.nextRows(p)
	}
	if m := e.nextWant(p); m != nil {
		return m
	}
	if p.dirty.Len() > 0 && !now.Before(p.flushed.Add(p.interval)) {
		return e.nextAnnounce(p, now)
	}
	if p.requests.Len() > 0 {
		if m := e.nextAnswer(p, now); m != nil {
			return m
		}
	}
	return nil
}
