package exchange

import (
	"fmt"
	"slices"
	"time"

	"grapevine/mesh/wire"
)

const (
	// wantTimeout is how long a peer that answers nothing at all keeps a want.
	wantTimeout = 2 * time.Second
	// maxWantTimeout bounds the back-off of wants that nobody answers.
	maxWantTimeout = 30 * time.Second
	// window is how many wants may be open with one peer: at 15 KiB a block,
	// 4 MiB on their way.
	window = 256
)

// want is a host of which something newer was announced than is held. It stays
// until that is held.
type want struct {
	mark  mark  // newest announced
	from  *Peer // who is to answer; nil for none or all
	all   bool  // every peer was asked
	whole bool  // ask for the whole block
	tried []*Peer
	since time.Time     // when from, or all, were asked to
	wait  time.Duration // present time-out when all were asked
}

// ask makes p the one to answer w.
func (e *Exchange) ask(p *Peer, tag wire.Tag, w *want, now time.Time) {
	w.from, w.all, w.since = p, false, now
	p.asking.Put(tag, w.whole)
	p.wake()
}

// assign finds the next peer to answer w: those who announced that version
// come first, each once; then all are asked.
func (e *Exchange) assign(tag wire.Tag, w *want, now time.Time) {
	w.from = nil
	for _, p := range e.peers {
		if m, offers := p.offers[tag]; offers && m.compare(w.mark) >= 0 && !slices.Contains(w.tried, p) {
			e.ask(p, tag, w, now)
			return
		}
	}
	w.all, w.since, w.tried = true, now, nil
	w.wait = min(max(2*w.wait, wantTimeout), maxWantTimeout)
	for _, p := range e.peers {
		p.asking.Put(tag, w.whole)
		p.wake()
	}
}

// Expire passes on the wants that were not answered in time, and returns when
// to call it again.
func (e *Exchange) Expire(now time.Time) time.Time {
	next := now.Add(wantTimeout)
	for tag, w := range e.wants.All() {
		if !e.lacks(tag, w.mark) && e.single(tag) != nil {
			e.settle(tag)
			continue
		}
		due := w.since.Add(max(w.wait, wantTimeout))
		if p := w.from; p != nil {
			due = later(w.since, p.progress).Add(wantTimeout)
		}
		if now.Before(due) {
			next = earlier(next, due)
			continue
		}
		e.stats.Timeouts++
		if w.from != nil {
			w.tried = append(w.tried, w.from)
		}
		for _, p := range e.peers {
			if p == w.from || w.all {
				delete(p.asked, tag)
				p.asking.Delete(tag)
			}
		}
		e.assign(tag, w, now)
	}
	return next
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func (p *Peer) mayAsk() bool { return p.asking.Len() > 0 && len(p.asked) < window }

// nextWant asks p for as many hosts as its window leaves room for.
func (e *Exchange) nextWant(p *Peer) wire.Message {
	m := &wire.Want{}
	for p.mayAsk() {
		tag, whole, _ := p.asking.Pop()
		w, wanted := e.wants.Get(tag)
		if !wanted || w.from != p && !w.all {
			continue
		}
		p.asks++
		item, q := e.query(tag, w, whole, p.asks)
		if p.asked == nil {
			p.asked = map[wire.Tag]query{}
		}
		p.asked[tag] = q
		m.Items = append(m.Items, item)
	}
	if len(m.Items) == 0 {
		return nil
	}
	p.wanted += uint64(len(m.Items))
	e.stats.Wanted += uint64(len(m.Items))
	return m
}

// query names the version held, unless the whole block is wanted or it is not
// clear which host is meant.
func (e *Exchange) query(tag wire.Tag, w *want, whole bool, number uint64) (wire.WantItem, query) {
	item, q := wire.WantItem{Tag: tag, Ask: number}, query{number: number}
	b := e.single(tag)
	if whole || b == nil || e.isSelf(tag) {
		return item, q
	}
	q.head = b.Head()
	item.Epoch, item.Incarnation, item.Seq = q.head.Epoch, q.head.Incarnation, q.head.Seq
	if w.mark.epoch != q.head.Epoch || w.mark.incarnation != 0 && w.mark.incarnation != q.head.Incarnation {
		item.Hash = q.head.Hash
	}
	return item, q
}

func (e *Exchange) receiveWant(p *Peer, m *wire.Want) error {
	for _, item := range m.Items {
		p.requests.Put(item.Tag, item)
	}
	if p.requests.Len() > maxOutstanding {
		return fmt.Errorf("%w: more than %d hosts wanted at once", ErrProtocol, maxOutstanding)
	}
	p.wake()
	return nil
}

// settle forgets the want of a host that is held now.
func (e *Exchange) settle(tag wire.Tag) {
	e.wants.Delete(tag)
	for _, p := range e.peers {
		delete(p.offers, tag)
		delete(p.asked, tag)
		p.asking.Delete(tag)
		delete(p.awaiting, tag)
		p.checkMerged()
	}
}

// selfLife is what a peer's block of the own host says of its life.
func selfLife(d *wire.Delta) wire.Life {
	life := wire.Life{Epoch: d.Head.Epoch, Incarnation: d.Head.Incarnation, Seq: d.Head.Seq}
	for i := range d.Rows {
		if d.Rows[i].Key != wire.HostKey(d.Head.Host) {
			continue
		}
		if host, err := wire.DecodeHost(d.Head.Host, d.Rows[i].Body); err == nil {
			life.Hardware = host.Hardware
		}
	}
	return life
}
