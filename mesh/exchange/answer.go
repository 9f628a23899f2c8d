package exchange

import (
	"fmt"
	"time"

	"grapevine/mesh/replica"
	"grapevine/mesh/wire"
)

// nextAnswer brings p what it wants, until the frame is full. A want of what
// this node has no newer version of is passed over in silence.
func (e *Exchange) nextAnswer(p *Peer, now time.Time) wire.Message {
	m := p.out.begin()
	if p.push {
		e.nextPush(p, now)
	}
	for p.requests.len() > 0 && !p.out.full() {
		r := *p.requests.first()
		p.requests.drop(1)
		for h := e.hosts[r.Tag]; h != nil; h = h.sharesIt {
			d, newer := h.block.SinceIn(p.out.room(), named(&r, h))
			if !newer {
				continue
			}
			d.Ask = r.number
			e.addAnswer(p, h, d, now)
		}
	}
	if len(m.Deltas) == 0 {
		return nil
	}
	e.stats.Answered += uint64(len(m.Deltas))
	return m
}

// addAnswer adds to p's answer what leads p to the version of h that is held.
func (e *Exchange) addAnswer(p *Peer, h *host, d wire.Delta, now time.Time) {
	d.Beat, d.AgeMS = e.sign(h, now)
	p.out.add(d)
	e.knows(p, h)
}

// begin returns the answer, emptied.
func (o *outgoing) begin() *wire.Answer {
	if max(cap(o.answer.Deltas), cap(o.rows)) > keptItems {
		o.answer.Deltas, o.rows = nil, nil
	}
	clear(o.answer.Deltas) // they keep blocks
	clear(o.rows)
	o.answer.Deltas, o.rows, o.added, o.size = o.answer.Deltas[:0], o.rows[:0], 0, 0
	return &o.answer
}

// room returns where the rows of the next delta go.
func (o *outgoing) room() []wire.Row {
	if len(o.rows) == cap(o.rows) {
		o.rows = make([]wire.Row, 0, max(8, 2*cap(o.rows)))
	}
	return o.rows[len(o.rows):]
}

// add adds a delta whose rows were put into the room, or found it too small.
func (o *outgoing) add(d wire.Delta) {
	o.answer.Deltas = append(o.answer.Deltas, d)
	o.added += len(d.Rows)
	for i := range d.Rows {
		o.size += d.Rows[i].Size()
	}
	if n := len(o.rows) + len(d.Rows); n <= cap(o.rows) {
		o.rows = o.rows[:n]
	}
}

// full reports whether the answer takes no further delta.
func (o *outgoing) full() bool {
	return o.size >= wire.AnswerBatchBytes || o.added >= wire.AnswerBatchRows || len(o.answer.Deltas) >= wire.AnswerBatchRows
}

// named returns the version of h that a want says is held, with what of it the
// want names.
func named(r *request, h *host) wire.Head {
	held := wire.Head{Host: h.id, Epoch: r.Epoch, Seq: r.Seq, Incarnation: r.Incarnation, Hash: r.Hash}
	if r.Held == wire.HeldSameLife && r.Epoch == h.mark.epoch && r.Life == uint16(h.mark.incarnation) { // its low bits
		held.Incarnation = h.mark.incarnation
	}
	return held
}

func (e *Exchange) receiveAnswer(p *Peer, m *wire.Answer, now time.Time) error {
	for i := range m.Deltas {
		d := &m.Deltas[i]
		if d.Pushed() {
			if err := e.receivePush(p, d, now); err != nil {
				return err
			}
			continue
		}
		if !p.progress.Equal(now) { // it is the first
			e.timeAnswer(p, d, now)
		}
		p.progress = now
		q := p.asked.find(d.Ask)
		if d.Form == wire.Changes {
			if q == nil || q.head.Host.IsZero() {
				continue // too late: it is forgotten what was asked
			}
			d.Restore(q.tag, q.head)
		}
		if q != nil && q.tag == d.Tag && !q.closed {
			e.answered = append(e.answered, d.Ask)
		}
		if err := e.receiveDelta(p, d, now); err != nil {
			return err
		}
	}
	for _, number := range e.answered {
		if q := p.asked.find(number); q != nil && !q.closed {
			tag := q.tag
			p.asked.close(q)
			e.afterAnswer(p, tag, now)
		}
	}
	e.answered = e.answered[:0]
	if p.mayAsk() {
		p.wake() // there is room in the window again
	}
	return nil
}

// receiveDelta merges one delta and passes the news on.
func (e *Exchange) receiveDelta(p *Peer, d *wire.Delta, now time.Time) error {
	if d.Head.Host.IsZero() {
		return fmt.Errorf("%w: block of no host", ErrProtocol)
	}
	if e.owner && d.Head.Host == e.id {
		e.hearOwn(p, d) // and never take it from others
		return nil
	}
	result, err := e.replica.Apply(*d, p.ID, now)
	switch result {
	case replica.Applied:
		e.stats.Applied++
		e.stats.RowsApplied += uint64(len(d.Rows))
		e.wantWhole(d.Tag, false)
		e.took(d.Tag, e.replica.Block(d.Head.Host), p, now)
	case replica.Stale:
		e.stats.Stale++
		p.redundant++
		e.wantWhole(d.Tag, false)
	case replica.NeedWhole:
		e.stats.NeedWhole++
		e.wantWhole(d.Tag, true)
	case replica.Rejected:
		e.refused(p, d, err)
	}
	return nil
}

func (e *Exchange) wantWhole(tag wire.Tag, whole bool) {
	if w, wanted := e.wants.Get(tag); wanted {
		w.whole = whole
	}
}

// afterAnswer settles the want that p answered, or goes on with it: with p
// where the whole block is needed, otherwise with who announced more. While
// all are asked it leaves the next try to Expire, which backs off.
func (e *Exchange) afterAnswer(p *Peer, tag wire.Tag, now time.Time) {
	w, wanted := e.wants.Get(tag)
	if !wanted {
		return
	}
	tried := w.tried&p.slot != 0
	switch {
	case !e.lacks(tag, w.mark), e.shared(tag) && !w.whole && !tried:
		e.settle(tag)
	case w.from != p:
		// others are at it
	case w.whole && !tried:
		w.tried |= p.slot // once: a whole block that does not do is the peer's fault
		e.ask(p, tag, w, now)
	default:
		e.assign(tag, w, now)
	}
}
