package replica

import "grapevine/mesh/wire"

// memory is where a block is made: in the arena of the replica that will hold
// it, under its host's number, or elsewhere where that is nil.
type memory struct {
	*arena
	owner uint16
	*scratch
	nursery *nursery // where whole blocks are made ahead; nil elsewhere
}

// elsewhere is memory of the heap.
func elsewhere() memory { return memory{scratch: &scratch{}} }

// base returns n bytes for the rows of a block.
func (m *memory) base(n int) ([]byte, slabNumber) {
	if m.nursery != nil {
		return m.nursery.take(n), 0
	}
	return m.take(n, m.owner, long)
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

// nursery is one piece of memory for the rows of all blocks that a frame
// brings. The arena makes it a slab of its own when the first of them is
// applied, so that they stay where they are.
type nursery struct {
	memory []byte
	used   int
	slab   slabNumber
}

func (n *nursery) take(size int) []byte {
	from := n.used
	n.used += size
	return n.memory[from:n.used:n.used]
}

// adopt makes the rows of p, which are in the nursery if there is one, the
// arena's.
func (a *arena) adopt(p *packed, owner uint16, from *nursery) {
	if from == nil || len(p.base) == 0 {
		return
	}
	if int(from.slab) >= len(a.slabs) || !same(a.slabs[from.slab].memory, from.memory) {
		from.slab = a.addSlab(from.memory)
	}
	s := &a.slabs[from.slab]
	s.pieces++
	s.owners = append(s.owners, owner)
	a.lives(from.slab, cap(p.base))
	p.in.base = from.slab
}
