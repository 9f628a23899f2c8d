package replica

// arena hands out the memory of a replica's blocks in slabs of one size. The
// collector so sees a slab where there are fifty pieces, and pieces of all
// sizes leave no holes: what is superseded in a slab goes with it once most of
// it is, and the rest moves. The writer alone uses it. It never reuses memory:
// readers may still look at it, and a slab that nobody holds is the collector's.
type arena struct {
	open   [2]slabNumber // that pieces come from, by how long they live
	rest   [2]slabNumber // with the most room of those that were full for a piece
	slabs  []slab
	unused []slabNumber // numbers of slabs that are gone
	size   int          // bytes of all slabs
	live   int          // bytes of pieces that are not dropped
	patch  []byte       // of the change at hand
}

// lifetime parts pieces that every change of their host replaces from those
// that stay for many: slabs of the first kind soon hold little that lives.
type lifetime int

const (
	short lifetime = iota // columns and patches
	long                  // bases
)

// slabNumber names a slab; 0 is memory from elsewhere.
type slabNumber uint32

type slab struct {
	memory []byte // what is handed out
	live   int
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
	s.live += n
	a.live += n
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

// scratch returns an empty slice with room for n bytes, until it is called
// again. A nil arena has none to keep.
func (a *arena) scratch(n int) []byte {
	if a == nil {
		return make([]byte, 0, n)
	}
	if cap(a.patch) < n {
		a.patch = make([]byte, 0, n+n/2)
	}
	return a.patch[:0]
}

// begin opens a slab.
func (a *arena) begin(n int, l lifetime) slabNumber {
	full := a.open[l]
	if a.room(full) > a.room(a.rest[l]) {
		full, a.rest[l] = a.rest[l], full
	}
	a.open[l] = a.newSlab(max(a.slabSize(), n))
	if full != 0 && a.slabs[full].live == 0 {
		a.free(full)
	}
	return a.open[l]
}

func (a *arena) newSlab(size int) slabNumber {
	if len(a.slabs) == 0 {
		a.slabs = make([]slab, 1) // number 0
	}
	n := slabNumber(len(a.slabs)) // bounded by what a replica holds
	if last := len(a.unused) - 1; last >= 0 {
		n, a.unused = a.unused[last], a.unused[:last]
	} else {
		a.slabs = append(a.slabs, slab{})
	}
	a.slabs[n].memory = make([]byte, 0, size)
	a.size += size
	return n
}

// inUse reports whether pieces may still come from a slab.
func (a *arena) inUse(n slabNumber) bool {
	return n == a.open[short] || n == a.open[long] || n == a.rest[short] || n == a.rest[long]
}

// drop says that a piece is no longer held.
func (a *arena) drop(piece []byte, in slabNumber) {
	if in == 0 {
		return
	}
	a.slabs[in].live -= len(piece)
	a.live -= len(piece)
	if a.slabs[in].live == 0 && !a.inUse(in) {
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
type homes struct{ columns, base, patch slabNumber }

// settle moves the pieces of p that pick picks to new places.
func (a *arena) settle(p *packed, owner uint16, pick func(in slabNumber) bool) {
	for _, piece := range []struct {
		bytes *[]byte
		in    *slabNumber
		lifetime
	}{{&p.columns, &p.in.columns, short}, {&p.base, &p.in.base, long}, {&p.patch, &p.in.patch, short}} {
		if len(*piece.bytes) > 0 && pick(*piece.in) {
			moved, in := a.take(len(*piece.bytes), owner, piece.lifetime)
			copy(moved, *piece.bytes)
			a.drop(*piece.bytes, *piece.in)
			*piece.bytes, *piece.in = moved, in
		}
	}
}

// release drops the pieces of p that next, the rows that take their place, does
// not have too.
func (a *arena) release(p, next *packed) {
	if a == nil {
		return
	}
	if !same(p.columns, next.columns) {
		a.drop(p.columns, p.in.columns)
	}
	if !same(p.base, next.base) {
		a.drop(p.base, p.in.base)
	}
	if !same(p.patch, next.patch) {
		a.drop(p.patch, p.in.patch)
	}
}

// same reports whether a and b are one piece.
func same(a, b []byte) bool { return len(a) > 0 && len(a) == len(b) && &a[0] == &b[0] }

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
			if int(owner) >= r.Len() {
				continue // its only block was refused
			}
			e := r.hosts.all()[owner]
			b := e.block.Load()
			if b.rows.in.columns != n && b.rows.in.base != n && b.rows.in.patch != n {
				continue
			}
			moved := b.again()
			r.arena.settle(&moved.rows, owner, func(in slabNumber) bool { return in == n })
			e.block.Store(moved)
		}
	}
}

// again returns the same block in another place.
func (b *Block) again() *Block {
	c := &Block{head: b.head, digest: b.digest, rows: b.rows, deletions: b.deletions, floor: b.floor}
	c.host.Store(b.host.Load())
	return c
}
