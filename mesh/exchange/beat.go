package exchange

import (
	"time"

	"grapevine/mesh/replica"
	"grapevine/mesh/wire"
)

// Beat gives the own block a new sign of life, which goes out with the pulses
// of the links.
func (e *Exchange) Beat(now time.Time) {
	b := e.replica.Block(e.id)
	if !e.owner || b == nil {
		return
	}
	e.beat++
	e.replica.Heard(e.id, replica.Sign{Epoch: b.Head().Epoch, Beat: e.beat, At: now})
	if h := e.single(e.tag); h != nil {
		e.put(&e.beats, h, 0)
	}
}

// NextBeats returns the signs of life that are news to p, or nil. They are in
// no hurry, because each says how old it is: whoever calls this decides when,
// and the fewer frames the better.
func (e *Exchange) NextBeats(p *Peer, now time.Time) *wire.Beats {
	m := &wire.Beats{}
	e.read(&e.beats, p, announceBatch, func(h *host) {
		if number, ageMS := e.sign(h, now); number > 0 {
			m.Items = append(m.Items, wire.Beat{Tag: h.tag, Epoch: h.mark.epoch, Seq: h.mark.seq, Number: number, AgeMS: ageMS})
		}
	})
	if len(m.Items) == 0 {
		return nil
	}
	e.stats.BeatsSent += uint64(len(m.Items))
	return m
}

// sign returns the last beat of a host in the epoch that is held, and its age
// now: what it had when it came, and how long it was kept here.
func (e *Exchange) sign(h *host, now time.Time) (number, ageMS uint64) {
	s := e.replica.Sign(h.id)
	if s == nil || s.Epoch != h.mark.epoch {
		return 0, 0
	}
	return s.Beat, uint64(s.Age(now).Milliseconds()) // never negative
}

// receiveBeats takes the signs of life of versions that are held, passes on
// those that are new, and crosses off those that p knows as well.
func (e *Exchange) receiveBeats(p *Peer, m *wire.Beats, now time.Time) {
	for _, b := range m.Items {
		h := e.single(b.Tag)
		if h == nil || h.mark.epoch != b.Epoch || h.mark.seq != b.Seq || e.owner && h.id == e.id {
			continue // one of the two is behind, and will be told
		}
		if e.replica.Heard(h.id, replica.Sign{Epoch: b.Epoch, Beat: b.Number, AgeMS: b.AgeMS, At: now}) {
			e.put(&e.beats, h, p.slot)
			e.stats.BeatsHeard++
			continue
		}
		if s := e.replica.Sign(h.id); s != nil && s.Epoch == b.Epoch && s.Beat == b.Number {
			h.heard.known |= p.slot
		}
	}
}
