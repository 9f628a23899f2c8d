package replica

import (
	"math"
	"slices"
	"sort"
	"sync/atomic"
)

// index is an ordered multiset of numbers. Readers go through it without a
// lock while the one writer changes it: it is cut into chunks, a number that
// comes is written behind those of its chunk, and every other change makes a
// new chunk in the place of the old one.
type index struct {
	directory atomic.Pointer[directory]
	scratch   []uint64 // writer
}

// directory lists the chunks: chunk i holds the numbers from firsts[i] to
// before firsts[i+1]. It is replaced when a chunk comes or goes.
type directory struct {
	firsts []uint64 // the first is 0
	chunks []atomic.Pointer[chunk]
}

// chunk holds its numbers in keys: those before sorted are in order, those up
// to used in the order in which they came.
type chunk struct {
	keys   []uint64
	sorted int
	used   atomic.Int32
}

const (
	// chunkMost is how many numbers a chunk holds before it is cut in two:
	// 2 KiB of them, so that copying one costs little and the directory of
	// 1,000,000 numbers is short.
	chunkMost = 256
	// chunkRoom bounds the room for numbers that come, which a reader has to
	// sort and which lies idle.
	chunkRoom = 24
)

// newChunk returns a chunk of ordered keys, with room for some more.
func newChunk(keys []uint64) *chunk {
	room := min(max(len(keys)/8, 2), chunkRoom)
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
	var space [8 * chunkRoom]uint64 // the runtime may give more room than was asked for
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

// at returns the number of the chunk that k belongs into.
func (d *directory) at(k uint64) int {
	return max(sort.Search(len(d.firsts), func(i int) bool { return d.firsts[i] > k })-1, 0)
}

// insert adds k (writer).
func (x *index) insert(k uint64) {
	d := x.directory.Load()
	if d == nil {
		x.store([]uint64{0}, []*chunk{newChunk([]uint64{k})})
		return
	}
	i := d.at(k)
	c := d.chunks[i].Load()
	if used := int(c.used.Load()); used < len(c.keys) && used-c.sorted < chunkRoom {
		c.keys[used] = k
		c.used.Store(int32(used) + 1) // from here on readers see it
		return
	}
	x.scratch = c.ordered(x.scratch)
	j, _ := slices.BinarySearch(x.scratch, k)
	x.scratch = slices.Insert(x.scratch, j, k)
	keys := x.scratch
	if cut := cutAt(keys); cut > 0 {
		x.replace(d, i, newChunk(keys[:cut]), newChunk(keys[cut:]))
	} else {
		d.chunks[i].Store(newChunk(keys))
	}
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
	d := x.directory.Load()
	if d == nil {
		return
	}
	i := d.at(k)
	c := d.chunks[i].Load()
	x.scratch = c.ordered(x.scratch)
	keys := x.scratch
	j, found := slices.BinarySearch(keys, k)
	switch {
	case !found:
	case len(keys) == 1 && len(d.chunks) > 1:
		x.replace(d, i)
	default:
		d.chunks[i].Store(newChunk(slices.Delete(keys, j, j+1)))
	}
}

// replace puts other chunks in the place of chunk i.
func (x *index) replace(d *directory, i int, by ...*chunk) {
	firsts := slices.Clone(d.firsts)
	chunks := make([]*chunk, len(d.chunks), len(d.chunks)+1)
	for j := range d.chunks {
		chunks[j] = d.chunks[j].Load()
	}
	if len(by) == 2 {
		firsts = slices.Insert(firsts, i+1, by[1].keys[0])
	} else {
		firsts = slices.Delete(firsts, i, i+1)
		firsts[0] = 0
	}
	x.store(firsts, slices.Replace(chunks, i, i+1, by...))
}

func (x *index) store(firsts []uint64, chunks []*chunk) {
	d := &directory{firsts: firsts, chunks: make([]atomic.Pointer[chunk], len(chunks))}
	for i, c := range chunks {
		d.chunks[i].Store(c)
	}
	x.directory.Store(d)
}

// between calls f with the numbers from lo to hi, in no order.
func (x *index) between(lo, hi uint64, f func(k uint64)) {
	d := x.directory.Load()
	if d == nil {
		return
	}
	for i := d.at(lo); i < len(d.chunks) && d.firsts[i] <= hi; i++ {
		c := d.chunks[i].Load()
		early := c.keys[:c.sorted]
		for j := sort.Search(len(early), func(j int) bool { return early[j] >= lo }); j < len(early) && early[j] <= hi; j++ {
			f(early[j])
		}
		for _, k := range c.keys[c.sorted:c.used.Load()] {
			if lo <= k && k <= hi {
				f(k)
			}
		}
	}
}

// cursor goes through an index in order.
type cursor struct {
	d    *directory
	i    int      // the next chunk
	keys []uint64 // of the present one, from the next number on
	buf  []uint64
	last uint64 // the number before, where any is true
	any  bool
}

// from returns a cursor that begins at the first number not below k.
func (x *index) from(k uint64) cursor {
	c := cursor{d: x.directory.Load()}
	if c.d != nil {
		c.i = c.d.at(k)
		c.load()
		j, _ := slices.BinarySearch(c.keys, k)
		c.keys = c.keys[j:]
	}
	return c
}

func (c *cursor) load() {
	c.buf = c.d.chunks[c.i].Load().ordered(c.buf)
	c.keys = c.buf
	c.i++
}

// next appends the following numbers to buf until it is full or one is above
// last; it appends none at the end. Of equal numbers it takes one.
func (c *cursor) next(buf []uint64, last uint64) []uint64 {
	for c.d != nil && len(buf) < cap(buf) {
		for len(c.keys) == 0 {
			if c.i == len(c.d.chunks) {
				return buf
			}
			c.load()
		}
		k := c.keys[0]
		if k > last {
			return buf
		}
		c.keys = c.keys[1:]
		if !c.any || c.last != k {
			buf = append(buf, k)
			c.last, c.any = k, true
		}
	}
	return buf
}

// everything is the highest number.
const everything = math.MaxUint64
