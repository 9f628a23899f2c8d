package exchange

import (
	"time"

	"grapevine/mesh/wire"
)

// receiveRoot answers a comparison of digests: nothing when the roots are
// equal, otherwise the buckets.
func (e *Exchange) receiveRoot(p *Peer, m *wire.Root) {
	p.sendBuckets = &wire.BucketDigests{}
	if m.Root == e.replica.Root() {
		e.stats.RootsEqual++
		p.compareDone(nil)
	} else {
		e.stats.RootsDiffer++
		digests := e.replica.Buckets()
		p.sendBuckets.Digests = digests[:]
	}
	p.wake()
}

func (e *Exchange) receiveBuckets(p *Peer, m *wire.BucketDigests) {
	if len(m.Digests) == 0 {
		e.stats.RootsEqual++
		p.compareDone(nil)
		return
	}
	e.stats.RootsDiffer++
	rows := &wire.Rows{}
	for i, digest := range e.replica.Buckets() {
		if digest != m.Digests[i] {
			rows.Cover(i)
		}
	}
	p.sendRows = rows
	p.wake()
}

// nextRows lists what is held, at the moment of sending, in the buckets that
// differ.
func (e *Exchange) nextRows(p *Peer) wire.Message {
	m := p.sendRows
	p.sendRows = nil
	for tag, b := range e.replica.Covered(m.Covers) {
		h := b.Head()
		m.Entries = append(m.Entries, wire.Entry{Tag: tag, Epoch: h.Epoch, Incarnation: h.Incarnation, Seq: h.Seq})
	}
	return m
}

// receiveRows asks for what p holds and this node lacks; the first of the two
// lists is answered with the other, so that p can do the same.
func (e *Exchange) receiveRows(p *Peer, m *wire.Rows, now time.Time) error {
	if !m.Answer {
		p.sendRows = &wire.Rows{Buckets: m.Buckets, Answer: true}
		p.wake()
	}
	times := map[wire.Tag]int{}
	for _, entry := range m.Entries {
		times[entry.Tag]++
	}
	awaiting := map[wire.Tag]bool{}
	for _, entry := range m.Entries {
		at := mark{entry.Epoch, entry.Incarnation, entry.Seq}
		shared := times[entry.Tag] > len(e.replica.Tagged(entry.Tag)) && times[entry.Tag] > 1
		if !shared && !e.lacks(entry.Tag, at) {
			continue
		}
		if err := e.offer(p, entry.Tag, at, now); err != nil {
			return err
		}
		if w, _ := e.wants.Get(entry.Tag); shared {
			w.whole = true
			p.asking.Put(entry.Tag, true)
		}
		if !e.isSelf(entry.Tag) {
			awaiting[entry.Tag] = true
		}
	}
	p.compareDone(awaiting)
	return nil
}

// compareDone notes that p's digest is known, and which of its hosts are still
// to come.
func (p *Peer) compareDone(awaiting map[wire.Tag]bool) {
	p.compared = true
	p.awaiting = awaiting
	p.checkMerged()
}

func (p *Peer) checkMerged() {
	if p.compared && len(p.awaiting) == 0 {
		p.merged = true
	}
}
