package replica

import (
	"slices"

	"grapevine/mesh/wire"
)

// arena hands out the memory of a replica's blocks in slabs of one size. The
// collector so sees a slab where there are fifty pieces, and pieces of all
// sizes leave no holes: what is superseded in a slab goes with it once most of
// it is, and the rest moves. The writer alone uses it. It never reuses memory:
// readers may still look at it, and a slab that nobody holds is the collector's.
type arena struct {
	open   [lifetimes]slabNumber // that pieces come from, by how long they live
	rest   [lifetimes]slabNumber // with the most room of those that were full for a piece
	slabs  []slab
	unused []slabNumber // numbers of slabs that are gone
	size   int          // bytes of all slabs
	live   int          // bytes of pieces that are not dropped, less those superseded in them
	work   scratch
}

// scratch is what the making of a block needs until it is made.
type scratch struct {
	edits   []edit
	patch   []byte
	former  []former
	table   entries
	hashed  wire.Hashed
	byEntry []uint16
	warm    int // keeps the reads that only warm the cache
}

// former is the hash that a row had before it was changed in place.
type former struct {
	at   int
	hash Hash
}

// lifetime parts pieces that every change of their host replaces from those
// that stay for some, and from those that stay until rows come or go: pieces of
// a slab die together, mostly, and then nothing is left in it to be moved.
type lifetime int

const (
	short     lifetime = iota // columns
	long                      // bases and patches
	lasting                   // hashes
	lifetimes                 // how many there are
)

// slabNumber names a slab; 0 is memory from elsewhere.
type slabNumber uint32

type slab struct {
	memory []byte   // what is handed out
	live   int      // as in arena
	pieces int      // that are not dropped
	owners []uint16 // numbers of the hosts that pieces are of, in the order in which they came
}

const (
	// slabMost is the size of a slab in a large fleet, slabLeast in a small one.
	slabMost  = 1 << 20
	slabLeast = 8 << 10
	// slabShare is how many slabs a replica has at least before they become
	// larger.
	slabShare = 32
	// slabPieces is how many pieces a slab has room for at least; one that is too
	// large for that has a slab of its own. So less than that part of a slab is
	// lost at its end, and a slab of which as much is dead is worth to be given up.
	slabPieces = 8
	// pieceAlign keeps numbers in columns from lying across cache lines.
	pieceAlign = 8
)

// slabSize is the size of the next slab.
func (a *arena) slabSize() int { return min(max(a.live/slabShare, slabLeast), slabMost) }

// take returns n bytes for a host, which are zero, and the slab that they are
// in. A nil arena takes them from the heap.
func (a *arena) take(n int, owner uint16, l lifetime) ([]byte, slabNumber) {
	if a == nil || n == 0 {
		return make([]byte, n), 0
	}
	in := a.open[l]
	if n > a.slabSize()/slabPieces {
		in = a.newSlab(n)
	} else if a.room(in) < n {
		if in = a.rest[l]; a.room(in) < n {
			in = a.begin(n, l)
		}
	}
	s := &a.slabs[in]
	from := len(s.memory)
	s.memory = s.memory[:min((from+n+pieceAlign-1)&^(pieceAlign-1), cap(s.memory))]
	s.pieces++
	a.lives(in, n)
	if last := len(s.owners) - 1; last < 0 || s.owners[last] != owner {
		s.owners = append(s.owners, owner)
	}
	return s.memory[from : from+n : from+n], in
}

// room returns how much of a slab was never handed out.
func (a *arena) room(n slabNumber) int {
	if n == 0 {
		return 0
	}
	return cap(a.slabs[n].memory) - len(a.slabs[n].memory)
}

// begin opens a slab.
func (a *arena) begin(n int, l lifetime) slabNumber {
	full := a.open[l]
	if a.room(full) > a.room(a.rest[l]) {
		full, a.rest[l] = a.rest[l], full
	}
	a.open[l] = a.newSlab(max(a.slabSize(), n))
	if full != 0 && a.slabs[full].pieces == 0 {
		a.free(full)
	}
	return a.open[l]
}

func (a *arena) newSlab(size int) slabNumber { return a.addSlab(make([]byte, 0, size)) }

func (a *arena) addSlab(memory []byte) slabNumber {
	if len(a.slabs) == 0 {
		a.slabs = make([]slab, 1) // number 0
	}
	n := slabNumber(len(a.slabs)) // bounded by what a replica holds
	if last := len(a.unused) - 1; last >= 0 {
		n, a.unused = a.unused[last], a.unused[:last]
	} else {
		a.slabs = append(a.slabs, slab{})
	}
	a.slabs[n].memory = memory
	a.size += cap(memory)
	return n
}

// inUse reports whether pieces may still come from a slab.
func (a *arena) inUse(n slabNumber) bool {
	return slices.Contains(a.open[:], n) || slices.Contains(a.rest[:], n)
}

// lives says that so many more bytes of a slab live.
func (a *arena) lives(in slabNumber, n int) {
	a.slabs[in].live += n
	a.live += n
}

// drop says that a piece, of which so much is dead, is no longer held.
func (a *arena) drop(piece []byte, in slabNumber, dead int) {
	if in == 0 {
		return
	}
	a.lives(in, dead-cap(piece))
	if a.slabs[in].pieces--; a.slabs[in].pieces == 0 && !a.inUse(in) {
		a.free(in)
	}
}

func (a *arena) free(n slabNumber) {
	a.size -= cap(a.slabs[n].memory)
	a.slabs[n] = slab{}
	a.unused = append(a.unused, n)
}

// worst returns the slab of which the most is dead, and 0 while all together
// are worth their size.
func (a *arena) worst() slabNumber {
	if a.size-a.live <= a.live/slackShare+4*a.slabSize() {
		return 0
	}
	worst, most := slabNumber(0), 0
	for n := range a.slabs {
		size := cap(a.slabs[n].memory)
		if dead := size - a.slabs[n].live; dead > most && dead >= size/slabPieces && !a.inUse(slabNumber(n)) { // as many as slabs
			worst, most = slabNumber(n), dead
		}
	}
	return worst
}

// slackShare is the part of the live bytes that dead ones may take beside them.
// The less, the more is moved.
const slackShare = 4

// homes says which slabs the pieces of a block are in.
type homes struct{ columns, hashes, base, patch slabNumber }

// release drops the pieces of p that next, the rows that take their place, does
// not have too, and counts what next supersedes.
func (a *arena) release(p, next *packed) {
	for i, old := range p.pieces() {
		is := next.pieces()[i]
		known := 0
		if same(old.bytes, is.bytes) {
			known = old.dead
		} else if len(old.bytes) > 0 {
			a.drop(old.bytes, old.in, old.dead)
		}
		if is.in != 0 {
			a.lives(is.in, known-is.dead)
		}
	}
}

// refuse drops the pieces of p, the last that was made, that held does not have:
// p does not take its place. Hashes of held that it changed are as before.
func (a *arena) refuse(p, held *packed) {
	if a == nil {
		return
	}
	if same(p.hashes, held.hashes) {
		for _, was := range a.work.former {
			copy(held.hash(was.at), was.hash[:])
		}
	}
	for i, is := range p.pieces() {
		if len(is.bytes) > 0 && !same(is.bytes, held.pieces()[i].bytes) {
			a.drop(is.bytes, is.in, 0)
		}
	}
}

// piece is one of the four of a block.
type piece struct {
	bytes []byte
	in    slabNumber
	dead  int // bytes of rows that are superseded
}

func (p *packed) pieces() [4]piece {
	return [...]piece{
		{p.columns, p.in.columns, 0},
		{p.hashes, p.in.hashes, 0},
		{p.base, p.in.base, p.dead},
		{p.patch, p.in.patch, len(p.base) + len(p.patch) - p.live - p.dead},
	}
}

// same reports whether a and b are one piece, of which one may use more.
func same(a, b []byte) bool { return len(a) > 0 && len(b) > 0 && &a[0] == &b[0] }

// settle puts the pieces of p that pick picks in new places.
func (a *arena) settle(p *packed, owner uint16, pick func(in slabNumber) bool) {
	move := func(from []byte, in *slabNumber, l lifetime) []byte {
		if len(from) == 0 || !pick(*in) {
			return from
		}
		to, home := a.take(len(from), owner, l)
		copy(to, from)
		*in = home
		return to
	}
	p.columns = move(p.columns, &p.in.columns, short)
	p.hashes = move(p.hashes, &p.in.hashes, lasting)
	p.base = move(p.base, &p.in.base, long)
	p.patch = move(p.patch, &p.in.patch, long)
}

// tidy moves what lives out of slabs that are mostly dead, a few at a time
// (writer).
func (r *Replica) tidy() {
	for range 4 {
		n := r.arena.worst()
		if n == 0 {
			return
		}
		owners := r.arena.slabs[n].owners
		r.arena.slabs[n].owners = nil // the number may be given again meanwhile
		for _, owner := range owners {
			if int(owner) < r.Len() { // or its only block was refused
				r.leave(n, r.hosts.all()[owner])
			}
		}
	}
}

// leave moves what a host has in a slab elsewhere. Rows with others in their
// place are written anew: they would be, sooner or later.
func (r *Replica) leave(n slabNumber, e *entry) {
	b := e.block.Load()
	in := b.rows.in
	if in.columns != n && in.hashes != n && in.base != n && in.patch != n {
		return
	}
	moved := b.again()
	p := &moved.rows
	if len(p.patch) > 0 && (in.base == n || in.patch == n) {
		p.columns, p.in.columns = r.arena.take(len(p.columns), e.number, short)
		copy(p.columns, b.rows.columns)
		p.compact(&r.arena, e.number)
	}
	r.arena.settle(p, e.number, func(in slabNumber) bool { return in == n })
	r.arena.release(&b.rows, p)
	e.block.Store(moved)
}

// again returns the same block in another place.
func (b *Block) again() *Block {
	c := &Block{head: b.head, digest: b.digest, rows: b.rows, deletions: b.deletions, floor: b.floor}
	c.host.Store(b.host.Load())
	return c
}
