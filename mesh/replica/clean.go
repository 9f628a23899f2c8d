package replica

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
	c := &Block{head: b.head, digest: b.digest, rows: b.rows, signature: b.signature, deletions: b.deletions, floor: b.floor}
	c.host.Store(b.host.Load())
	return c
}
