package replica

import (
	"errors"
	"slices"
	"time"

	"grapevine/fleet"
	"grapevine/mesh/wire"
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
// error says why, when the result is NeedWhole or Rejected. The replica keeps
// the delta's rows.
func (r *Replica) Apply(d Delta, from fleet.UUID, now time.Time) (Result, error) {
	held := r.Block(d.Head.Host)
	if held != nil && d.Head.Compare(&held.head) <= 0 {
		return Stale, nil
	}
	b, err := merge(held, d)
	switch {
	case errors.Is(err, ErrNeedWhole):
		return NeedWhole, err
	case err != nil:
		return Rejected, err
	}
	r.install(b, from, now)
	if d.Beat > 0 {
		r.Heard(d.Head.Host, Sign{Epoch: d.Head.Epoch, Beat: d.Beat, AgeMS: d.AgeMS, At: now})
	}
	return Applied, nil
}

// Install makes b the block held of its host if it is newer than what is
// held, and reports whether it was (writer). Origins install their own blocks
// so; what came from elsewhere goes through Apply.
func (r *Replica) Install(b *Block, now time.Time) bool {
	return r.install(b, fleet.UUID{}, now)
}

func (r *Replica) install(b *Block, from fleet.UUID, now time.Time) bool {
	e := r.entry(b.head.Host)
	var old *Block
	came := &source{from: from, at: now}
	if e == nil {
		e = r.add(b, came)
	} else {
		old = e.block.Load()
		if b.head.Compare(&old.head) <= 0 {
			return false
		}
		e.source.Store(came)
		e.block.Store(b)
	}
	r.places.update(old, b)
	r.updateRoot(e.tag, old, b)
	r.changes.add(b.head.Host)
	return true
}

func (r *Replica) add(b *Block, came *source) *entry {
	e := &entry{id: b.head.Host, tag: wire.TagOf(b.head.Host)}
	e.block.Store(b)
	e.source.Store(came)
	all := *r.hosts.Load()
	i, _ := slices.BinarySearchFunc(all, e.id, func(e *entry, id fleet.HostID) int { return e.id.Compare(id) })
	next := slices.Insert(slices.Clone(all), i, e)
	r.hosts.Store(&next)
	r.byTag[e.tag] = append(r.byTag[e.tag], e)
	return e
}

// maxAgeMS bounds the age that a peer may tell, at a hundred years, so that no
// sum overflows.
const maxAgeMS = 100 * 365 * 24 * 3600 * 1000

// Heard notes a sign of life of a host that is held, if it is newer than the
// last one, and reports whether it was (writer).
func (r *Replica) Heard(id fleet.HostID, s Sign) bool {
	e := r.entry(id)
	if e == nil {
		return false
	}
	last := e.sign.Load()
	if last != nil && (s.Epoch < last.Epoch || s.Epoch == last.Epoch && s.Beat <= last.Beat) {
		return false
	}
	s.AgeMS = min(s.AgeMS, maxAgeMS)
	e.sign.Store(&s)
	return true
}
