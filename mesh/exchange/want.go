package exchange

import (
	"fmt"
	"time"

	"grapevine/fleet"
	"grapevine/mesh/wire"
)

// WantTimeout is how long after a want was first made Expire is to be called.
const WantTimeout = 2 * time.Second

const (
	// wantTimeout is how long a peer that answers nothing at all keeps a want.
	wantTimeout = WantTimeout
	// maxWantTimeout bounds the back-off of wants that nobody answers.
	maxWantTimeout = 30 * time.Second
	// window is how many wants may be open with one peer: at 15 KiB a block,
	// 4 MiB on their way.
	window = 256
)

// want is a host of which something newer was announced than is held. It stays
// until that is held.
type want struct {
	mark   mark    // newest announced
	offers []offer // who announced which version, in the order of their first
	from   *Peer   // who is to answer; nil for none or all
	all    bool    // every peer was asked
	again  bool    // it was asked more than once
	whole  bool    // ask for the whole block
	// awaited says that it is part of a comparison of digests with some peer.
	awaited bool
	tried   slots
	queued  slots         // who is still to be sent it: it is among their asking
	since   time.Time     // when from, or all, were asked to
	wait    time.Duration // present time-out when all were asked
}

// offer is a version that a peer has.
type offer struct {
	peer *Peer
	slot slots // of peer
	mark mark
}

func (w *want) offered(p *Peer, m mark) {
	for i := range w.offers {
		if o := &w.offers[i]; o.peer == p {
			if m.compare(o.mark) > 0 {
				o.mark = m
			}
			return
		}
	}
	w.offers = append(w.offers, offer{p, p.slot, m})
}

// ask makes p the one to answer w.
func (e *Exchange) ask(p *Peer, tag wire.Tag, w *want, now time.Time) {
	w.again = w.again || !w.since.IsZero()
	w.from, w.all, w.since = p, false, now
	p.send(tag, w)
}

// send makes p be sent w, once.
func (p *Peer) send(tag wire.Tag, w *want) {
	if w.queued&p.slot == 0 {
		w.queued |= p.slot
		p.asking.add(tag)
	}
	p.wake()
}

// assign finds the next peer to answer w: those who announced that version
// come first, each once; then all are asked.
func (e *Exchange) assign(tag wire.Tag, w *want, now time.Time) {
	w.from = nil
	for _, o := range w.offers {
		if o.mark.compare(w.mark) >= 0 && w.tried&o.slot == 0 {
			e.ask(o.peer, tag, w, now)
			return
		}
	}
	w.all, w.again, w.since, w.tried = true, true, now, 0
	w.wait = min(max(2*w.wait, wantTimeout), maxWantTimeout)
	for _, p := range e.peers {
		p.send(tag, w)
	}
}

// Expire passes on the wants that were not answered in time, and returns when
// to call it again, zero for when there is another want.
func (e *Exchange) Expire(now time.Time) time.Time {
	var next time.Time
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
			w.tried |= w.from.slot
		}
		for _, p := range e.peers {
			if p == w.from || w.all {
				p.asked.closeTag(tag)
			}
		}
		e.assign(tag, w, now)
		next = earlier(next, now.Add(wantTimeout))
	}
	return next
}

// Wanting reports whether anything is wanted, so that Expire is to be called.
func (e *Exchange) Wanting() bool { return e.wants.Len() > 0 }

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// earlier returns the earlier of two moments, of which zero is none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

func (p *Peer) mayAsk() bool { return p.asking.len() > 0 && p.asked.open < window }

// nextWant asks p for as many hosts as its window leaves room for.
func (e *Exchange) nextWant(p *Peer) wire.Message {
	if !p.mayAsk() {
		return nil
	}
	m := &p.out.want
	m.First, m.Items = p.asked.next(), m.Items[:0]
	for p.mayAsk() {
		tag := *p.asking.first()
		p.asking.drop(1)
		w, wanted := e.wants.Get(tag)
		if !wanted || w.queued&p.slot == 0 {
			continue
		}
		w.queued &^= p.slot
		if w.from != p && !w.all {
			continue
		}
		item, held := e.name(tag, w)
		p.asked.add(query{tag: tag, head: held})
		m.Items = append(m.Items, item)
	}
	if len(m.Items) == 0 {
		return nil
	}
	p.wanted += uint64(len(m.Items))
	e.stats.Wanted += uint64(len(m.Items))
	return m
}

// name names the version held, unless the whole block is wanted or it is not
// clear which host is meant.
func (e *Exchange) name(tag wire.Tag, w *want) (wire.WantItem, wire.Head) {
	h := e.single(tag)
	if w.whole || h == nil || e.isSelf(tag) {
		return wire.WantItem{Tag: tag}, wire.Head{}
	}
	head := h.block.Head()
	item := wire.WantItem{Tag: tag, Held: wire.HeldSameLife, Epoch: head.Epoch, Seq: head.Seq, Life: uint16(head.Incarnation)} // its low bits
	if w.mark.epoch != head.Epoch || w.mark.incarnation != 0 && w.mark.incarnation != head.Incarnation {
		item.Held, item.Life, item.Incarnation, item.Hash = wire.HeldOtherLife, 0, head.Incarnation, head.Hash
	}
	return item, head
}

// request is a want of a peer.
type request struct {
	wire.WantItem
	number uint64
}

func (e *Exchange) receiveWant(p *Peer, m *wire.Want) error {
	for i := range m.Items {
		p.requests.add(request{m.Items[i], m.First + uint64(i)}) // not negative
	}
	if p.requests.len() > maxOutstanding {
		return fmt.Errorf("%w: more than %d hosts wanted at once", ErrProtocol, maxOutstanding)
	}
	p.wake()
	return nil
}

// settle forgets the want of a host that is held now.
func (e *Exchange) settle(tag wire.Tag) {
	w, wanted := e.wants.Get(tag)
	if !wanted {
		return
	}
	e.wants.Delete(tag)
	if w.again || w.awaited { // seldom: nearly every want is asked of one peer, and done
		for _, p := range e.peers {
			if w.again {
				p.asked.closeTag(tag)
			}
			delete(p.awaiting, tag)
			p.checkMerged()
		}
	}
	e.release(w)
}

// maxSpare bounds the wants that are kept for others to come.
const maxSpare = 64

// newWant returns a want, one that was released where there is one: nearly all
// live for a few milliseconds.
func (e *Exchange) newWant(m mark) *want {
	n := len(e.spare)
	if n == 0 {
		return &want{mark: m}
	}
	w := e.spare[n-1]
	e.spare = e.spare[:n-1]
	*w = want{mark: m, offers: w.offers[:0]}
	return w
}

// release takes back a want that was settled. Nobody refers to it any more.
func (e *Exchange) release(w *want) {
	clear(w.offers) // they keep peers
	if len(e.spare) < maxSpare {
		e.spare = append(e.spare, w)
	}
}

// selfLife is what a peer's block of the own host says of its life.
func selfLife(d *wire.Delta) wire.Life {
	life := wire.Life{Epoch: d.Head.Epoch, Incarnation: d.Head.Incarnation, Seq: d.Head.Seq}
	for i := range d.Rows {
		if d.Rows[i].Key != wire.HostKey(d.Head.Host) {
			continue
		}
		life.Hardware = hardwareOf(d.Head.Host, d.Rows[i].Body)
	}
	return life
}

func hardwareOf(id fleet.HostID, body []byte) string {
	h, err := wire.DecodeHost(id, body)
	if err != nil {
		return ""
	}
	return h.Hardware
}
