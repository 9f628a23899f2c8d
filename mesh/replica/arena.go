package replica

import "slices"

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
