package replica

import (
	"slices"
	"sort"
	"sync/atomic"
)

// index is an ordered multiset of numbers. Readers go through it without a
// lock while the one writer changes it: it is cut into chunks, a number that
// comes is written behind those of its chunk, and every other change makes a
// new chunk in the place of the old one. Chunks are listed in directories and
// these in one root, so that a list is never long to copy.
type index struct {
	root    atomic.Pointer[level[level[chunk]]]
	scratch []uint64 // writer
	warm    int      // writer: keeps the reads that only warm the cache
}

// level lists parts of an index in order: part i holds the numbers from
// firsts[i] to before firsts[i+1]. A part is replaced in its place; the level
// is replaced when parts come or go.
type level[T any] struct {
	firsts []uint64
	parts  []atomic.Pointer[T]
}

// chunk holds its numbers in keys: those before sorted are in order, those up
// to used in the order in which they came.
type chunk struct {
	keys   []uint64
	sorted int
	used   atomic.Int32
}

const (
	// chunkMost is how many numbers a chunk holds before it is cut in two. The
	// more, the fewer objects for the collector, and the more to copy for a
	// number that goes.
	chunkMost = 976
	// chunkRoom bounds the room for numbers that come, which a reader has to
	// sort and which lies idle. On average 90 % of the room is used, and a number
	// that comes leaves 150 bytes of garbage behind.
	chunkRoom = 48
	// chunkTail bounds how many numbers came, where the runtime gave more room.
	chunkTail = 96
	// levelMost is how many parts a directory lists before it is cut in two.
	levelMost = 64
)

func newLevel[T any](firsts []uint64, parts []*T) *level[T] {
	l := &level[T]{firsts: firsts, parts: make([]atomic.Pointer[T], len(parts))}
	for i, part := range parts {
		l.parts[i].Store(part)
	}
	return l
}

// at returns the number of the part that k belongs into.
func (l *level[T]) at(k uint64) int {
	lo := 0
	for n := len(l.firsts); n > 1; { // the part is one of these n, from lo on
		half := n / 2
		if l.firsts[lo+half] <= k {
			lo += half
		}
		n -= half
	}
	return lo
}

// with returns the level with others in the place of part i; the second of
// them begins at first.
func (l *level[T]) with(i int, first uint64, by ...*T) *level[T] {
	parts := make([]*T, len(l.parts), len(l.parts)+1)
	for j := range l.parts {
		parts[j] = l.parts[j].Load()
	}
	firsts := slices.Clone(l.firsts)
	if len(by) == 2 {
		firsts = slices.Insert(firsts, i+1, first)
	} else if firsts = slices.Delete(firsts, i, i+1); i == 0 {
		firsts[0] = l.firsts[0]
	}
	return newLevel(firsts, slices.Replace(parts, i, i+1, by...))
}

// halves cuts a level in two, and returns where the second begins.
func (l *level[T]) halves() (low, high *level[T], first uint64) {
	parts := make([]*T, len(l.parts))
	for j := range l.parts {
		parts[j] = l.parts[j].Load()
	}
	cut := len(parts) / 2
	return newLevel(l.firsts[:cut:cut], parts[:cut]), newLevel(l.firsts[cut:], parts[cut:]), l.firsts[cut]
}

// newChunk returns a chunk of ordered keys, with room for some more.
func newChunk(keys []uint64) *chunk {
	room := min(max(len(keys)/2, 4), chunkRoom)
	all := slices.Grow([]uint64(nil), len(keys)+room) // all that was allocated is used
	c := &chunk{keys: append(all, keys...)[:cap(all)], sorted: len(keys)}
	c.used.Store(int32(len(keys))) // bounded by what a replica holds
	return c
}

// ordered appends the chunk's numbers to buf[:0], in order.
func (c *chunk) ordered(buf []uint64) []uint64 {
	used := int(c.used.Load())
	if used == c.sorted {
		return append(buf[:0], c.keys[:used]...)
	}
	var space [chunkTail]uint64
	late := append(space[:0], c.keys[c.sorted:used]...)
	slices.Sort(late)
	buf, early := buf[:0], c.keys[:c.sorted]
	for len(early) > 0 && len(late) > 0 {
		if early[0] <= late[0] {
			buf, early = append(buf, early[0]), early[1:]
		} else {
			buf, late = append(buf, late[0]), late[1:]
		}
	}
	return append(append(buf, early...), late...)
}

// insert adds k (writer).
func (x *index) insert(k uint64) {
	if p, ok := x.find(k); ok {
		x.insertAt(p, k)
		return
	}
	directory := newLevel([]uint64{0}, []*chunk{newChunk([]uint64{k})})
	x.root.Store(newLevel([]uint64{0}, []*level[chunk]{directory}))
}

// spot is where in an index a number belongs.
type spot struct {
	root *level[level[chunk]]
	d    *level[chunk]
	c    *chunk
	i, j int // d in root, c in d
}

// find returns where k belongs, and false in an empty index.
func (x *index) find(k uint64) (p spot, ok bool) {
	if p.root = x.root.Load(); p.root == nil {
		return p, false
	}
	p.i = p.root.at(k)
	p.d = p.root.parts[p.i].Load()
	p.j = p.d.at(k)
	p.c = p.d.parts[p.j].Load()
	return p, true
}

// isOf reports whether p, which was found before, is still right.
func (p *spot) isOf(x *index) bool {
	return p.root == x.root.Load() && p.d == p.root.parts[p.i].Load() && p.c == p.d.parts[p.j].Load()
}

// insertAll adds many numbers (writer). It looks at the places of some before it
// goes to them, so that these come from memory together.
func (x *index) insertAll(keys []uint64) {
	var spots [32]spot
	for len(keys) > 0 {
		n := min(len(keys), len(spots))
		warm := 0
		for i, k := range keys[:n] {
			spots[i], _ = x.find(k)
		}
		for i := range spots[:n] {
			if c := spots[i].c; c != nil {
				warm += int(c.used.Load()) + len(c.keys)
			}
		}
		for i := range spots[:n] {
			if c := spots[i].c; c != nil {
				warm += int(c.keys[min(int(c.used.Load()), len(c.keys)-1)])
			}
		}
		x.warm += warm
		for i, k := range keys[:n] {
			if p := &spots[i]; p.root != nil && p.isOf(x) {
				x.insertAt(*p, k)
			} else {
				x.insert(k)
			}
		}
		keys = keys[n:]
	}
}

// insertAt adds k at its place.
func (x *index) insertAt(p spot, k uint64) {
	root, d, c, i, j := p.root, p.d, p.c, p.i, p.j
	if used := int(c.used.Load()); used < len(c.keys) && used-c.sorted < chunkTail {
		c.keys[used] = k
		c.used.Store(int32(used) + 1) // from here on readers see it
		return
	}
	x.scratch = c.ordered(x.scratch)
	at, _ := slices.BinarySearch(x.scratch, k)
	x.scratch = slices.Insert(x.scratch, at, k)
	cut := cutAt(x.scratch)
	if cut == 0 {
		d.parts[j].Store(newChunk(x.scratch))
		return
	}
	d = d.with(j, x.scratch[cut], newChunk(x.scratch[:cut]), newChunk(x.scratch[cut:]))
	if len(d.parts) <= levelMost {
		root.parts[i].Store(d)
		return
	}
	low, high, first := d.halves()
	x.root.Store(root.with(i, first, low, high))
}

// cutAt returns where to cut keys that are too many for one chunk, and 0 where
// they are not. Equal numbers stay together.
func cutAt(keys []uint64) int {
	if len(keys) <= chunkMost {
		return 0
	}
	cut := len(keys) / 2
	first, _ := slices.BinarySearch(keys, keys[cut])
	if first > 0 {
		return first
	}
	after := sort.Search(len(keys), func(i int) bool { return keys[i] > keys[cut] })
	if after < len(keys) {
		return after
	}
	return 0 // all are equal
}

// remove takes one k out, if there is one (writer).
func (x *index) remove(k uint64) {
	root := x.root.Load()
	if root == nil {
		return
	}
	directory := &root.parts[root.at(k)]
	d := directory.Load()
	i := d.at(k)
	x.scratch = d.parts[i].Load().ordered(x.scratch)
	at, found := slices.BinarySearch(x.scratch, k)
	switch {
	case !found:
	case len(x.scratch) == 1 && len(d.parts) > 1:
		directory.Store(d.with(i, 0))
	default:
		d.parts[i].Store(newChunk(slices.Delete(x.scratch, at, at+1)))
	}
}
