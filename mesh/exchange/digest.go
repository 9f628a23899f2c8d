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

// receiveBuckets goes on with the buckets that differ: by the rows in them
// where these are few, otherwise by the digests of their parts.
func (e *Exchange) receiveBuckets(p *Peer, m *wire.BucketDigests) {
	if len(m.Digests) == 0 {
		e.stats.RootsEqual++
		p.compareDone(nil)
		return
	}
	e.stats.RootsDiffer++
	var differ [wire.Buckets]bool
	buckets := 0
	for i, digest := range e.replica.Buckets() {
		if digest != m.Digests[i] {
			differ[i] = true
			buckets++
		}
	}
	hosts := 0
	for tag := range e.hosts {
		if differ[tag.Bucket()] {
			hosts++
		}
	}
	const rowBytes, partsBytes = 15, 8 * wire.PartsOfBucket // on the wire
	if hosts*rowBytes > buckets*partsBytes {
		p.sendParts = e.parts(&differ)
	} else {
		p.sendRows = &wire.Rows{}
		for i := range differ {
			if differ[i] {
				p.sendRows.Covers.AddBucket(i)
			}
		}
	}
	p.wake()
}

// parts returns the digests of the parts of some buckets.
func (e *Exchange) parts(of *[wire.Buckets]bool) *wire.PartDigests {
	var all [wire.Parts]uint64
	for tag := range e.hosts {
		if !of[tag.Bucket()] {
			continue
		}
		for h := range e.tagged(tag) {
			head := h.block.Head()
			all[tag.Part()] ^= head.Digest()
		}
	}
	m := &wire.PartDigests{}
	for bucket := range of {
		if of[bucket] {
			m.Buckets[bucket/8] |= 1 << (bucket % 8)
			m.Digests = append(m.Digests, all[bucket*wire.PartsOfBucket:(bucket+1)*wire.PartsOfBucket]...)
		}
	}
	return m
}

// receiveParts lists the rows of the parts that differ.
func (e *Exchange) receiveParts(p *Peer, m *wire.PartDigests) {
	var of [wire.Buckets]bool
	for bucket := range of {
		of[bucket] = m.Buckets[bucket/8]&(1<<(bucket%8)) != 0
	}
	ours, i := e.parts(&of), 0
	p.sendRows = &wire.Rows{}
	for bucket := range of {
		if !of[bucket] {
			continue
		}
		for part := range wire.PartsOfBucket {
			if ours.Digests[i] != m.Digests[i] {
				p.sendRows.Covers.Add(bucket*wire.PartsOfBucket + part)
			}
			i++
		}
	}
	p.wake()
}

// nextRows lists what is held, at the moment of sending, in the parts that
// differ.
func (e *Exchange) nextRows(p *Peer) wire.Message {
	m := p.sendRows
	p.sendRows = nil
	var buckets [wire.Buckets]bool
	for part := range wire.Parts {
		if m.Covers.Has(part) {
			buckets[part/wire.PartsOfBucket] = true
		}
	}
	for tag, b := range e.replica.Covered(func(bucket int) bool { return buckets[bucket] }) {
		if h := b.Head(); m.Covers.Has(tag.Part()) {
			m.Entries = append(m.Entries, wire.Entry{Tag: tag, Epoch: h.Epoch, Incarnation: h.Incarnation, Seq: h.Seq})
		}
	}
	return m
}

// receiveRows asks for what p holds and this node lacks; the first of the two
// lists is answered with the other, so that p can do the same.
func (e *Exchange) receiveRows(p *Peer, m *wire.Rows, now time.Time) error {
	if !m.Answer {
		p.sendRows = &wire.Rows{Covers: m.Covers, Answer: true}
		p.wake()
	}
	times := map[wire.Tag]int{}
	for _, entry := range m.Entries {
		times[entry.Tag]++
	}
	awaiting := map[wire.Tag]bool{}
	for _, entry := range m.Entries {
		at := mark{entry.Epoch, entry.Incarnation, entry.Seq}
		held := 0
		for range e.tagged(entry.Tag) {
			held++
		}
		shared := times[entry.Tag] > held && times[entry.Tag] > 1
		if !shared && !e.lacks(entry.Tag, at) {
			continue
		}
		if err := e.offer(p, entry.Tag, at, now); err != nil {
			return err
		}
		w, _ := e.wants.Get(entry.Tag) // offered just now
		if shared {
			w.whole = true
		}
		if !e.isSelf(entry.Tag) {
			awaiting[entry.Tag], w.awaited = true, true
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
