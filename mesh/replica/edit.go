package replica

import (
	"slices"

	"grapevine/mesh/wire"
)

// edit is what a delta does at one place of a block: row replaces the row at
// at, or comes before it, or is nil where that row goes.
type edit struct {
	at    int
	found bool // a row with this key is at at
	kind  wire.Kind
	row   *Row
}

// apply returns p, which is of this host, with the edits done; p stays as it
// is. The new pieces are from m.
func (p *packed) apply(edits []edit, m memory) packed {
	w, a, owner := m.scratch, m.arena, m.owner
	q := packed{
		n: p.n, base: p.base, live: p.live, dead: p.dead, size: p.size, instances: p.instances, texts: p.texts,
		in: homes{base: p.in.base},
	}
	added := 0
	for i := range edits {
		e := &edits[i]
		if e.found {
			old, n := wire.RowAt(p.encoded(e.at))
			q.live -= n
			if p.start(e.at)&inPatch == 0 {
				q.dead += n
			}
			q.size -= old.Size()
		}
		if e.row != nil {
			added += wire.RowLen(e.row)
			q.size += e.row.Size()
		}
		q.count(e)
	}
	q.live += added
	q.columns, q.in.columns = a.take(q.n*columnBytes, owner, short)
	w.former = w.former[:0]
	if a != nil && p.in.hashes != 0 && !moves(edits) {
		copy(q.columns, p.columns)
		q.hashes, q.in.hashes = p.hashes, p.in.hashes
		for _, e := range edits {
			w.former = append(w.former, former{e.at, Hash(p.hash(e.at))})
		}
	} else {
		q.hashes, q.in.hashes = a.take(q.n*hashBytes, owner, lasting)
		q.copyColumns(p, edits)
	}
	patched := len(p.patch) + added
	if waste := len(q.base) + patched - q.live; waste > q.live/wasteShare || patched > q.live/patchShare {
		w.patch = append(slices.Grow(w.patch[:0], patched), p.patch...)
		q.patch = w.patch
		q.place(edits)
		q.compact(a, owner)
	} else {
		q.patch, q.in.patch = p.room(added, q.live/roomShare, a, owner)
		q.place(edits)
	}
	q.signEdited(p, edits, w)
	return q
}

// room returns the patch of p in memory where it may grow by so much. Rows come
// to stand behind those that a reader of p knows of: so long as each block is
// made from the one before, which is so in an arena, they may do so in place.
// Where that memory is full there is more in the next, if some such changes fit.
func (p *packed) room(more, spare int, a *arena, owner uint16) ([]byte, slabNumber) {
	length := len(p.patch) + more
	if p.in.patch != 0 && a != nil && length <= cap(p.patch) {
		return p.patch, p.in.patch
	}
	if a != nil && more <= spare/2 {
		length += spare
	}
	patch, in := a.take(length, owner, long)
	return patch[:copy(patch, p.patch)], in
}

// A block is written anew when that part of it is superseded, or in the patch.
const (
	wasteShare = 4
	patchShare = 3
	// roomShare is the part of a block that its patch has room for beyond its
	// length.
	roomShare = 32
)

// count moves the number of rows and the spans by one edit.
func (p *packed) count(e *edit) {
	by := 0
	switch {
	case e.row == nil:
		by = -1
	case !e.found:
		by = 1
	}
	p.n += by
	p.turned.moved = p.turned.moved || by != 0 && e.kind == wire.KindInstance
	p.instances.move(wire.KindInstance, e.kind, by)
	p.texts.move(wire.KindText, e.kind, by)
}

// move says that rows of a kind came or went, to the span of another or the
// same kind.
func (s *span) move(own, kind wire.Kind, by int) {
	if kind < own {
		s.from += by
	}
	if kind <= own {
		s.to += by
	}
}

// moves reports whether rows come or go with the edits.
func moves(edits []edit) bool {
	return slices.ContainsFunc(edits, func(e edit) bool { return !e.found || e.row == nil })
}

// copyColumns fills the columns of p with those of old, with room for rows that
// come and without those that go.
func (p *packed) copyColumns(old *packed, edits []edit) {
	from, to := 0, 0 // first row of the piece in old and in p
	move := func(end int) {
		for _, column := range []struct {
			dst, src []byte
			width    int
		}{
			{p.hashes, old.hashes, hashBytes},
			{p.prefixes(), old.prefixes(), prefixBytes},
			{p.marks(), old.marks(), markBytes},
		} {
			copy(column.dst[to*column.width:], column.src[from*column.width:end*column.width])
		}
		to, from = to+end-from, end
	}
	for _, e := range edits {
		move(e.at)
		if e.found {
			from++
		}
		if e.row != nil {
			to++
		}
	}
	move(old.n)
}

// place appends the edits' rows to the patch and writes their columns.
func (p *packed) place(edits []edit) {
	moved := 0
	for _, e := range edits {
		if e.row == nil {
			moved--
			continue
		}
		hash := e.row.Hash()
		p.set(e.at+moved, e.row, &hash, uint32(len(p.patch))|inPatch) // bounded by fleet.MaxBlockBytes
		p.patch = wire.AppendRow(p.patch, e.row)
		if !e.found {
			moved++
		}
	}
}

// compact writes all rows anew into a base. Rows that lie one behind the other
// are copied together.
func (p *packed) compact(a *arena, owner uint16) {
	base, in := a.take(p.live, owner, long)
	to := 0
	for i := 0; i < p.n; {
		from := p.start(i)
		end := from
		for ; i < p.n && p.start(i) == end; i++ {
			rows := p.encoded(i)
			p.setStart(i, uint32(to)+end-from) // bounded by fleet.MaxBlockBytes
			end += uint32(wire.LenAt(rows))    // likewise
		}
		to += copy(base[to:], p.piece(from)[:end-from])
	}
	p.base, p.patch, p.dead, p.in.base, p.in.patch = base, nil, 0, in, 0
}
