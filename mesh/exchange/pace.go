package exchange

import (
	"time"

	"grapevine/mesh/wire"
)

// The interval at which a node flushes its news: short while little is to be
// said, longer when batches get large, so that a busy link carries fewer
// frames, and longer still while the node is late, because it waits for a
// processor or for the network: what it does costs by the frame.
const (
	minFlush   = 10 * time.Millisecond
	maxFlush   = 20 * time.Millisecond
	lateFlush  = 160 * time.Millisecond
	largeBatch = 64 // hosts; from here on the interval doubles

	// slowBy is when an answer is late: one that took so much more than twice the
	// shortest time of the same peer has waited for somebody.
	slowBy = 10 * time.Millisecond
	// The interval grows by an eighth at a tick before which most answers were
	// late, and falls by a thirty-second of the time that passes without such: it
	// comes to rest where one tick in five is late.
	growth, fall = 8, 32
)

// pace is when a node flushes its news. Whether it is late it knows by the
// answers to its wants, which have been through all that its frames wait for:
// its own ticks come in time when hundreds of frames wait to be read.
type pace struct {
	phase    time.Duration // of the ticks, so that nodes do not tick together
	interval time.Duration
	flushed  time.Time // last
	answers  int       // since then
	late     int       // of them
}

// next returns when the news that come now are flushed.
func (p *pace) next(now time.Time) time.Time {
	tick := now.Add(minFlush - (time.Duration(now.UnixNano())-p.phase)%minFlush)
	if p.interval > minFlush {
		tick = later(tick, p.flushed.Add(p.interval))
	}
	return tick
}

// answered takes note of how long the answer to a want took, and how long the
// same peer takes at its fastest.
func (p *pace) answered(took, fastest time.Duration) {
	p.answers++
	if took > 2*fastest+slowBy {
		p.late++
	}
}

// flush takes note that so many news are flushed.
func (p *pace) flush(batch int, now time.Time) {
	switch {
	case 2*p.late > p.answers:
		p.interval = min(p.interval+p.interval/growth, lateFlush)
	case batch >= largeBatch && p.interval < maxFlush:
		p.interval = min(2*p.interval, maxFlush)
	default:
		p.interval = max(p.interval-now.Sub(p.flushed)/fall, minFlush)
	}
	p.flushed, p.answers, p.late = now, 0, 0
}

// timeAnswer takes the time of an answer that p was the only one to be asked
// for, by the first of what it brings.
func (e *Exchange) timeAnswer(p *Peer, d *wire.Delta, now time.Time) {
	q := p.asked.find(d.Ask)
	if q == nil {
		return
	}
	if w, wanted := e.wants.Get(q.tag); wanted && w.from == p && !w.again {
		took := now.Sub(w.since)
		p.RoundTrip(took)
		e.pace.answered(took, p.fastest)
	}
}

// RoundTrip tells how long it took until p answered something. The shortest such
// time is what is expected of p.
func (p *Peer) RoundTrip(took time.Duration) {
	if !p.timed || took < p.fastest {
		p.timed, p.fastest = true, took
	}
}

// tell makes the news go out at the node's next tick. Waiting for it gives
// peers the time to announce the same, which then need not be told; and all
// links are written to at once.
func (e *Exchange) tell(now time.Time) {
	if len(e.peers) > 0 && e.flushAt.IsZero() {
		e.flushAt = e.pace.next(now)
	}
}

// FlushDue returns when Flush is to be called, zero for not at all.
func (e *Exchange) FlushDue() time.Time { return e.flushAt }

// Flush lets all peers be told the news there are.
func (e *Exchange) Flush(now time.Time) {
	e.flushAt = time.Time{}
	batch := 0
	for _, p := range e.peers {
		if news := e.versions.pending(p); news > 0 {
			batch = max(batch, news)
			p.flush = true
			p.wake()
		} else {
			p.versionCursor = e.versions.end()
		}
	}
	e.trim(&e.versions)
	e.pace.flush(batch, now)
}
