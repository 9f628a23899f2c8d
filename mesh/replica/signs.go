package replica

import (
	"bytes"
	"slices"

	"grapevine/fleet"
	"grapevine/mesh/wire"
)

// resign works out the signs of the instances among the rows from one to
// before another.
func (p *packed) resign(from, to int, w *scratch) {
	from, to = max(from, p.instances.from), min(to, p.instances.to)
	if to-from > 8 {
		p.signAll(from, to, w, nil)
		return
	}
	for i := from; i < to; i++ {
		r := p.row(i)
		sign, ok := wire.SignOf(r.Body, p)
		p.setSign(i, signIf(ok, &r, sign))
	}
}

// signAll is resign for many rows. It tells the roster, unless that is nil,
// which project each is in.
func (p *packed) signAll(from, to int, w *scratch, projects *roster) {
	w.table = p.unpackTable(w.table)
	w.hashed.Reset(w.table, len(w.table))
	w.byEntry = slices.Grow(w.byEntry[:0], len(w.table))[:len(w.table)]
	clear(w.byEntry)
	for i := from; i < to; i++ {
		r := p.row(i)
		sign, ok := w.hashed.SignOf(r.Body)
		if sign = signIf(ok, &r, sign); sign != 0 && projects != nil {
			ref, inFull := w.hashed.Project()
			projects.add(i-from, ref, inFull, w.table, w.byEntry)
		}
		p.setSign(i, sign)
	}
	w.hashed.Reset(nil, 0)
	clear(w.table) // it points into the block
}

// signIf returns the sign of a row that can be read and looked up, and 0 for
// others.
func signIf(ok bool, r *Row, sign wire.Sign) wire.Sign {
	if !ok || len(r.ID) != len(fleet.UUID{}) {
		return 0
	}
	return sign
}

// unsigned reports whether an instance cannot be read.
func (p *packed) unsigned() bool {
	for i := p.instances.from; i < p.instances.to; i++ {
		if p.sign(i) == 0 {
			return true
		}
	}
	return false
}

// signEdited works out the signs of the instances that changed: of all of them
// where an entry of the table that they may name is another now.
func (p *packed) signEdited(old *packed, edits []edit, w *scratch) {
	for i := range edits {
		if e := &edits[i]; e.kind == wire.KindText && (!old.extends(e) || old.unsigned()) {
			p.resign(0, p.n, w)
			p.turned.fresh = p.instances
			return
		}
	}
	moved := 0
	for i := range edits {
		e := &edits[i]
		if e.row == nil {
			moved--
			continue
		}
		if e.kind == wire.KindInstance && !p.signAgain(old, e, e.at+moved) {
			p.resign(e.at+moved, e.at+moved+1, w)
			p.turned.fresh = p.turned.fresh.with(e.at + moved)
		}
		if !e.found {
			moved++
		}
	}
}

// signAgain works out the sign of row i, which an edit changed, from its old
// one. It reports false where that cannot be done.
func (p *packed) signAgain(old *packed, e *edit, i int) bool {
	if !e.found {
		return false
	}
	sign, ok := wire.Resign(old.row(e.at).Body, old.sign(e.at), e.row.Body)
	if ok {
		p.setSign(i, sign)
	}
	return ok
}

// extends reports whether an edit of the table leaves all entries as they are.
func (p *packed) extends(e *edit) bool {
	return !e.found || e.row != nil && bytes.HasPrefix(e.row.Body, p.row(e.at).Body)
}
