package exchange

import (
	"fmt"
	"time"

	"grapevine/mesh/wire"
)

// announceBatch is how many announcements one frame carries at most.
const announceBatch = 4096

// nextAnnounce says which versions are held now of the hosts that are news to
// p: however often one changed meanwhile, it is told once, and the newest.
func (e *Exchange) nextAnnounce(p *Peer) wire.Message {
	m := &p.out.announce
	if cap(m.Items) > keptItems {
		m.Items = nil
	}
	m.Items = m.Items[:0]
	add := func(h *host) {
		if e.pushes(p, h) {
			p.push = true
			return
		}
		m.Items = append(m.Items, wire.Announcement{Tag: h.tag, Epoch: h.mark.epoch, Seq: h.mark.seq})
	}
	if p.flush {
		e.read(&e.versions, p, announceBatch, add)
		p.flush = p.versionCursor < e.versions.end()
	}
	if p.catchUp {
		e.read(&e.later, p, announceBatch, add)
		p.catchUp = p.laterCursor < e.later.end()
	}
	if len(m.Items) == 0 {
		return nil
	}
	p.announced += uint64(len(m.Items))
	e.stats.Announced += uint64(len(m.Items))
	return m
}

// receiveAnnounce wants what is newer than what is held, and crosses off what
// p has to be told where p is as far as this node.
func (e *Exchange) receiveAnnounce(p *Peer, m *wire.Announce, now time.Time) error {
	e.stats.Heard += uint64(len(m.Items))
	for _, a := range m.Items {
		if err := e.heardOf(p, a.Tag, mark{epoch: a.Epoch, seq: a.Seq}, now); err != nil {
			return err
		}
	}
	return nil
}

// heardOf takes note that p holds a version.
func (e *Exchange) heardOf(p *Peer, tag wire.Tag, at mark, now time.Time) error {
	h := e.single(tag)
	switch {
	case h != nil && at.compare(h.mark) == 0:
		e.knows(p, h)
		return nil
	case h != nil && !e.isSelf(tag) && at.compare(h.mark) < 0:
		return nil // p is behind; it will be told, or was
	case (h == nil || e.isSelf(tag)) && !e.lacks(tag, at):
		return nil
	}
	return e.offer(p, tag, at, now)
}

// offer notes that p has a newer version of a host than this node.
func (e *Exchange) offer(p *Peer, tag wire.Tag, m mark, now time.Time) error {
	w, wanted := e.wants.Get(tag)
	if !wanted {
		if e.wants.Len() >= maxOutstanding {
			return fmt.Errorf("%w: more than %d hosts announced that nobody sends", ErrProtocol, maxOutstanding)
		}
		w = e.newWant(m)
		e.wants.Put(tag, w)
	}
	w.offered(p, m)
	if m.compare(w.mark) > 0 {
		w.mark = m
		w.tried = 0
	}
	if w.from == nil {
		if w.all {
			p.asked.closeTag(tag) // it may have been asked before it had it
		}
		e.ask(p, tag, w, now)
	}
	return nil
}
