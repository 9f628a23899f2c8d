package replica

import (
	"errors"
	"fmt"
	"time"

	"grapevine/fleet"
)

// Result says what came of a delta.
type Result int

// The results of Apply.
const (
	Applied   Result = iota // the block it leads to is now held
	Stale                   // what is held is as new or newer
	NeedWhole               // it does not start from what is held: fetch the whole block
	Rejected                // it is wrong in itself; nothing changed
)

// String returns the word that metrics and logs use.
func (r Result) String() string {
	return [...]string{"applied", "stale", "need_whole", "rejected"}[r]
}

// Apply merges a delta that came from a peer into the replica (writer). The
// error says why, when the result is NeedWhole or Rejected. Of the delta's
// memory nothing is kept.
func (r *Replica) Apply(d Delta, from fleet.UUID, now time.Time) (Result, error) {
	var held *Block
	e := r.hosts.find(d.Head.Host)
	if e != nil {
		held = e.block.Load()
	}
	if held != nil && d.Head.Compare(&held.head) <= 0 {
		return Stale, nil
	}
	if held == nil && r.Len() >= fleet.MaxHostsHeld {
		return Rejected, fmt.Errorf("%d hosts are held, the most that are: %w", r.Len(), ErrTooLarge)
	}
	m := r.memory(e)
	b, err := merge(held, d, m)
	if err == nil {
		if err = r.proven(b, &d); err != nil {
			m.refuse(&b.rows, rowsOf(held))
		}
	}
	switch {
	case errors.Is(err, ErrNeedWhole):
		return NeedWhole, err
	case err != nil:
		return Rejected, err
	}
	b.sign(d.Signature)
	e = r.entry(e, d.Head.Host)
	turned := b.rows.turned
	b.rows.turned = turnover{} // for the writer's eyes, once
	if r.sharer != nil {
		b = r.sharer.Share(b) // it may have been made from another version
	} else {
		b = r.settle(e, b, nurseryOf(&d))
	}
	r.take(e, b, turned, note{
		from: from, learnt: r.since(now),
		epoch: d.Head.Epoch, beat: d.Beat, ageMS: min(d.AgeMS, maxAgeMS), at: r.since(now),
	})
	return Applied, nil
}

// rowsOf returns the rows of a block that may be none.
func rowsOf(b *Block) *packed {
	if b == nil {
		return &packed{}
	}
	return &b.rows
}

// Install makes b the block held of its host if it is newer than what is
// held, and reports whether it was (writer). Origins install their own blocks
// so; what came from elsewhere goes through Apply.
func (r *Replica) Install(b *Block, now time.Time) bool {
	e := r.hosts.find(b.head.Host)
	if e != nil && b.head.Compare(&e.block.Load().head) <= 0 {
		return false
	}
	r.take(r.entry(e, b.head.Host), b, turnover{true, b.rows.instances, nil}, note{learnt: r.since(now)})
	return true
}

// entry returns a host's entry, which is e if that is not nil.
func (r *Replica) entry(e *entry, id fleet.HostID) *entry {
	if e == nil {
		e = r.hosts.entry(id)
	}
	return e
}

// take makes b, which is newer than what e holds, if anything, the block held.
// A sign of life in n that is not newer than the last one is passed over.
func (r *Replica) take(e *entry, b *Block, turned turnover, n note) {
	old := e.block.Load()
	if old == nil {
		e.block.Store(b)
		e.note.Store(&n)
		r.hosts.add(e)
		r.reindex(e.number, nil, b, turned, func() {})
		r.updateRoot(e.tag, nil, b)
	} else {
		n.keepSign(e.note.Load())
		r.reindex(e.number, old, b, turned, func() {
			e.note.Store(&n)
			e.block.Store(b)
		})
		r.updateRoot(e.tag, old, b)
		if r.sharer == nil {
			r.arena.release(&old.rows, &b.rows)
			r.tidy()
		}
	}
	r.changes.add(e.number)
}

// memory returns where the next block of a host, which may be new, is made. A
// block that others share lies in no replica's arena.
func (r *Replica) memory(e *entry) memory {
	m := memory{scratch: &r.arena.work}
	if r.sharer == nil {
		m.arena, m.owner = &r.arena, uint16(r.Len()) // bounded by fleet.MaxHostsHeld
		if e != nil {
			m.owner = e.number
		}
	}
	return m
}

// settle returns b in the arena, where it was prepared elsewhere.
func (r *Replica) settle(e *entry, b *Block, from *nursery) *Block {
	if b.rows.in.columns != 0 {
		return b
	}
	b = b.again()
	r.arena.adopt(&b.rows, e.number, from)
	r.arena.settle(&b.rows, e.number, func(in slabNumber) bool { return in == 0 })
	return b
}

// keepSign gives n the sign of life of the note before it, where n brings none
// that is newer.
func (n *note) keepSign(last *note) {
	if n.beat == 0 || !last.before(n.epoch, n.beat) {
		n.epoch, n.beat, n.ageMS, n.at = last.epoch, last.beat, last.ageMS, last.at
	}
}

// before reports whether the note's sign of life, if it has one, is older than
// this.
func (n *note) before(epoch, beat uint64) bool {
	return n.beat == 0 || epoch > n.epoch || epoch == n.epoch && beat > n.beat
}

// since returns a moment as notes keep it.
func (r *Replica) since(now time.Time) time.Duration {
	if r.zero.IsZero() && !now.IsZero() { // written once, before the first note that readers see
		r.zero = now
	}
	return now.Sub(r.zero)
}

// maxAgeMS bounds the age that a peer may tell, at a hundred years, so that no
// sum overflows.
const maxAgeMS = 100 * 365 * 24 * 3600 * 1000

// Heard notes a sign of life of a host that is held, if it is newer than the
// last one, and reports whether it was (writer).
func (r *Replica) Heard(id fleet.HostID, s Sign) bool {
	e := r.hosts.find(id)
	if e == nil {
		return false
	}
	last := e.note.Load()
	if s.Beat == 0 || !last.before(s.Epoch, s.Beat) {
		return false
	}
	e.note.Store(&note{
		from: last.from, learnt: last.learnt,
		epoch: s.Epoch, beat: s.Beat, ageMS: min(s.AgeMS, maxAgeMS), at: r.since(s.At),
	})
	return true
}
