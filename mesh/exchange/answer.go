package exchange

import (
	"fmt"
	"slices"
	"time"

	"grapevine/mesh/replica"
	"grapevine/mesh/wire"
)

// nextAnswer brings p what it wants, until the frame is full. A want of what
// this node has no newer version of is passed over in silence.
func (e *Exchange) nextAnswer(p *Peer, now time.Time) wire.Message {
	m, size, rows := &wire.Answer{}, 0, 0
	for size < wire.AnswerBatchBytes && rows < wire.AnswerBatchRows && len(m.Deltas) < wire.AnswerBatchRows {
		tag, item, ok := p.requests.Pop()
		if !ok {
			break
		}
		for _, b := range e.replica.Tagged(tag) {
			d, newer := b.Since(wire.Head{
				Host: b.HostID(), Epoch: item.Epoch, Incarnation: item.Incarnation, Seq: item.Seq, Hash: item.Hash,
			})
			if !newer {
				continue
			}
			d.Ask = item.Ask
			d.Beat, d.AgeMS = e.sign(d.Head, now)
			m.Deltas = append(m.Deltas, d)
			rows += len(d.Rows)
			for i := range d.Rows {
				size += d.Rows[i].Size()
			}
			p.dirty.Delete(b.HostID())
		}
	}
	if len(m.Deltas) == 0 {
		return nil
	}
	e.stats.Answered += uint64(len(m.Deltas))
	return m
}

func (e *Exchange) receiveAnswer(p *Peer, m *wire.Answer, now time.Time) error {
	p.progress = now
	answered := map[wire.Tag]bool{}
	for i := range m.Deltas {
		d := &m.Deltas[i]
		q, asked := p.asked[d.Tag]
		asked = asked && q.number == d.Ask
		if d.Form == wire.Changes {
			if !asked || q.head.Host.IsZero() {
				continue // too late: another want has taken the place of the one answered
			}
			d.Head.Host, d.Head.Epoch, d.Head.Incarnation = q.head.Host, q.head.Epoch, q.head.Incarnation
		}
		if wire.TagOf(d.Head.Host) != d.Tag {
			return fmt.Errorf("%w: block of host %s under the tag of another", ErrProtocol, d.Head.Host)
		}
		if asked {
			answered[d.Tag] = true
		}
		e.receiveDelta(p, d, now)
	}
	for tag := range answered {
		delete(p.asked, tag)
	}
	for _, tag := range sortedTags(answered) {
		e.afterAnswer(p, tag, now)
	}
	return nil
}

func sortedTags(set map[wire.Tag]bool) []wire.Tag {
	tags := make([]wire.Tag, 0, len(set))
	for tag := range set {
		tags = append(tags, tag)
	}
	slices.Sort(tags)
	return tags
}

// receiveDelta merges one delta and passes the news on.
func (e *Exchange) receiveDelta(p *Peer, d *wire.Delta, now time.Time) {
	if e.owner && d.Head.Host == e.self {
		e.HearSelf(selfLife(d)) // the own block is never taken from others
		return
	}
	result, err := e.replica.Apply(*d, p.ID, now)
	switch result {
	case replica.Applied:
		e.stats.Applied++
		e.wantWhole(d.Tag, false)
		e.stats.RowsApplied += uint64(len(d.Rows))
		e.spread(d.Head.Host, p)
	case replica.Stale:
		e.stats.Stale++
		e.wantWhole(d.Tag, false)
	case replica.NeedWhole:
		e.stats.NeedWhole++
		e.wantWhole(d.Tag, true)
	case replica.Rejected:
		e.stats.Refused++
		if w, wanted := e.wants.Get(d.Tag); wanted {
			w.tried = append(w.tried, p)
		}
		if e.Rejected != nil {
			e.Rejected(p, d.Head.Host, err)
		}
	}
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
	shared := len(e.replica.Tagged(tag)) > 1 // then versions cannot tell: see lacks
	tried := slices.Contains(w.tried, p)
	switch {
	case !e.lacks(tag, w.mark), shared && !w.whole && !tried:
		e.settle(tag)
	case w.from != p:
		// others are at it
	case w.whole && !tried:
		w.tried = append(w.tried, p) // once: a whole block that does not do is the peer's fault
		e.ask(p, tag, w, now)
	default:
		e.assign(tag, w, now)
	}
}
