package exchange

import (
	"time"

	"grapevine/mesh/wire"
)

// What an origin says of its own host nobody can have said before it, and all of
// its peers would want it of it. So to a peer of which it knows what it holds it
// does not announce the next version but sends at once what leads there: a push,
// an answer to no want.

// pushes reports whether the own block is to be pushed to p and not announced.
func (e *Exchange) pushes(p *Peer, h *host) bool {
	return e.owner && h.id == e.id && p.holds.epoch == h.mark.epoch && p.holds.incarnation == h.mark.incarnation
}

// nextPush adds to p's answer what leads to the own block, if p is behind it.
func (e *Exchange) nextPush(p *Peer, now time.Time) {
	p.push = false
	h := e.hostOf(e.tag, e.id)
	held := wire.Head{Host: e.id, Epoch: p.holds.epoch, Incarnation: p.holds.incarnation, Seq: p.holds.seq}
	d, newer := h.block.SinceIn(p.out.room(), held)
	if !newer {
		return
	}
	e.addAnswer(p, h, d, now)
	p.announced++
	e.stats.Pushed++
}

// receivePush takes in what p pushed of its own host. Where it starts from what
// is not held here it is as good as an announcement.
func (e *Exchange) receivePush(p *Peer, d *wire.Delta, now time.Time) error {
	pushed := mark{epoch: d.Head.Epoch, seq: d.Head.Seq}
	h := e.single(p.tag)
	if h == nil || h.id != p.ID || h.mark.epoch != pushed.epoch || uint16(h.mark.incarnation) != uint16(d.Head.Incarnation) { // its low bits
		return e.heardOf(p, p.tag, pushed, now)
	}
	d.Restore(p.tag, h.block.Head())
	if err := e.receiveDelta(p, d, now); err != nil {
		return err
	}
	return e.heardOf(p, p.tag, pushed, now)
}
