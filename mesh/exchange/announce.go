package exchange

import (
	"fmt"
	"time"

	"grapevine/fleet"
	"grapevine/mesh/replica"
	"grapevine/mesh/wire"
)

// spread marks a host as news for every peer but from and those who are known
// to hold that version.
func (e *Exchange) spread(id fleet.HostID, from *Peer) {
	tag, held := wire.TagOf(id), markOf(e.replica.Block(id).Head())
	for _, p := range e.peers {
		if m, offers := p.offers[tag]; p == from || offers && m.compare(held) >= 0 {
			continue
		}
		p.dirty.Put(id, struct{}{})
		p.wake()
	}
}

// nextAnnounce says which versions are held now of the hosts that are news to
// p: however often one changed meanwhile, it is told once, and the newest.
func (e *Exchange) nextAnnounce(p *Peer, now time.Time) wire.Message {
	m := &wire.Announce{}
	for len(m.Items) < announceBatch {
		id, _, ok := p.dirty.Pop()
		if !ok {
			break
		}
		m.Items = append(m.Items, e.announcement(e.replica.Block(id), now))
	}
	p.flushed = now
	if len(m.Items) >= largeBatch {
		p.interval = min(2*p.interval, maxFlush)
	} else {
		p.interval = max(p.interval/2, minFlush)
	}
	p.announced += uint64(len(m.Items))
	e.stats.Announced += uint64(len(m.Items))
	return m
}

func (e *Exchange) announcement(b *replica.Block, now time.Time) wire.Announcement {
	h := b.Head()
	a := wire.Announcement{Tag: wire.TagOf(h.Host), Epoch: h.Epoch, Seq: h.Seq}
	a.Beat, a.AgeMS = e.sign(h, now)
	return a
}

// sign returns the last beat of a host in the epoch that is held, and its age
// now: what it had when it came, and how long it was kept here.
func (e *Exchange) sign(h wire.Head, now time.Time) (beat, ageMS uint64) {
	s := e.replica.Sign(h.Host)
	if s == nil || s.Epoch != h.Epoch {
		return 0, 0
	}
	return s.Beat, uint64(s.Age(now).Milliseconds()) // never negative
}

func (e *Exchange) receiveAnnounce(p *Peer, m *wire.Announce, now time.Time) error {
	e.stats.Heard += uint64(len(m.Items))
	for _, a := range m.Items {
		at := mark{epoch: a.Epoch, seq: a.Seq}
		if e.lacks(a.Tag, at) {
			if err := e.offer(p, a.Tag, at, now); err != nil {
				return err
			}
			continue
		}
		if b := e.single(a.Tag); b != nil {
			e.receiveBeat(p, b, a, now)
		}
	}
	return nil
}

// receiveBeat takes the sign of life in an announcement of a version that is
// held already, passes it on, and crosses the host off what p has to be told
// if p is as far as this node.
func (e *Exchange) receiveBeat(p *Peer, b *replica.Block, a wire.Announcement, now time.Time) {
	h := b.Head()
	if h.Epoch != a.Epoch || h.Seq != a.Seq {
		return // p is behind; it will be told, or was
	}
	own := e.owner && h.Host == e.self
	fresh := replica.Sign{Epoch: a.Epoch, Beat: a.Beat, AgeMS: a.AgeMS, At: now}
	if !own && a.Beat > 0 && e.replica.Heard(h.Host, fresh) {
		e.spread(h.Host, p)
	}
	if s := e.replica.Sign(h.Host); s == nil || a.Beat >= s.Beat {
		p.dirty.Delete(h.Host)
	}
}

// offer notes that p has a newer version of a host than this node.
func (e *Exchange) offer(p *Peer, tag wire.Tag, m mark, now time.Time) error {
	if p.offers == nil {
		p.offers = map[wire.Tag]mark{}
	}
	if have, ok := p.offers[tag]; !ok || m.compare(have) > 0 {
		p.offers[tag] = m
	}
	w, wanted := e.wants.Get(tag)
	if !wanted {
		if e.wants.Len() >= maxOutstanding {
			return fmt.Errorf("%w: more than %d hosts announced that nobody sends", ErrProtocol, maxOutstanding)
		}
		w = &want{mark: m}
		e.wants.Put(tag, w)
	}
	if m.compare(w.mark) > 0 {
		w.mark = m
		w.tried = nil
	}
	if w.from == nil {
		delete(p.asked, tag) // it may have been asked before it had it
		e.ask(p, tag, w, now)
	}
	return nil
}
