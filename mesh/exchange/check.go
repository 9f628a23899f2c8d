package exchange

import (
	"errors"
	"time"

	"grapevine/mesh/replica"
	"grapevine/mesh/wire"
)

// Checks appends the looks at signatures that Receive of this answer from p will
// take. Whoever has other things to keep up does them before, where nobody waits;
// Receive does what was not done.
func (e *Exchange) Checks(p *Peer, m *wire.Answer, to []replica.Check) []replica.Check {
	for i := range m.Deltas {
		d := &m.Deltas[i]
		head, known := e.headOf(p, d)
		if !known || e.owner && head.Host == e.id {
			continue
		}
		if c, needed := e.replica.Check(d, head); needed {
			to = append(to, c)
		}
	}
	return to
}

// headOf returns the head of a delta with what is left out of it on the wire, as
// Receive restores it.
func (e *Exchange) headOf(p *Peer, d *wire.Delta) (wire.Head, bool) {
	if d.Form != wire.Changes {
		return d.Head, true
	}
	var held wire.Head
	if d.Pushed() {
		h := e.single(p.tag)
		if h == nil || h.id != p.ID {
			return wire.Head{}, false
		}
		held = h.block.Head()
	} else {
		q := p.asked.find(d.Ask)
		if q == nil || q.head.Host.IsZero() {
			return wire.Head{}, false
		}
		held = q.head
	}
	head := d.Head
	head.Host, head.Epoch, head.Incarnation = held.Host, held.Epoch, held.Incarnation
	return head, true
}

// hearOwn takes in a block of the own host from a peer: its word about itself
// from an earlier life, or that of a clone. What somebody else made up says
// nothing.
func (e *Exchange) hearOwn(p *Peer, d *wire.Delta) {
	if err := e.replica.Proven(*d); err != nil {
		e.refused(p, d, err)
		return
	}
	e.HearSelf(selfLife(d))
}

// ToldSelf notes what p says that it holds of the own host. Where blocks are
// verified its word is no proof: the block is asked for, and says it again.
func (e *Exchange) ToldSelf(p *Peer, l wire.Life, now time.Time) {
	if !e.replica.Verifies() {
		e.HearSelf(l)
		return
	}
	if m := (mark{l.Epoch, l.Incarnation, l.Seq}); m.compare(e.ownMark()) > 0 {
		_ = e.offer(p, e.tag, m, now) // one more: the bound on wants is for those who announce without end
	}
}

// SelfWanted reports whether a peer is asked for a block of the own host.
func (e *Exchange) SelfWanted() bool {
	_, wanted := e.wants.Get(e.tag)
	return e.owner && wanted
}

// refused notes that a delta of p is wrong in itself.
func (e *Exchange) refused(p *Peer, d *wire.Delta, err error) {
	e.stats.Refused++
	if errors.Is(err, replica.ErrUnproven) {
		e.stats.Unproven++
	}
	if w, wanted := e.wants.Get(d.Tag); wanted {
		w.tried |= p.slot
	}
	if e.Rejected != nil {
		e.Rejected(p, d.Head.Host, err)
	}
}
