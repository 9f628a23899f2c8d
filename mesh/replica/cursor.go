package replica

import (
	"math"
	"slices"
	"sort"
)

// between calls f with the numbers from lo to hi, in no order.
func (x *index) between(lo, hi uint64, f func(k uint64)) {
	root := x.root.Load()
	if root == nil {
		return
	}
	for i := root.at(lo); i < len(root.parts) && root.firsts[i] <= hi; i++ {
		d := root.parts[i].Load()
		for j := d.at(lo); j < len(d.parts) && d.firsts[j] <= hi; j++ {
			d.parts[j].Load().between(lo, hi, d.firsts[j], d.end(j, root.end(i, everything)), f)
		}
	}
}

// end returns where the numbers of part i end, or last for the last part.
func (l *level[T]) end(i int, last uint64) uint64 {
	if i+1 < len(l.firsts) {
		return l.firsts[i+1]
	}
	return last
}

func (c *chunk) between(lo, hi, first, end uint64, f func(k uint64)) {
	early := c.keys[:c.sorted]
	for i := near(early, lo, first, end); i < len(early) && early[i] <= hi; i++ {
		f(early[i])
	}
	for _, k := range c.keys[c.sorted:c.used.Load()] {
		if lo <= k && k <= hi {
			f(k)
		}
	}
}

// near returns the place of the first key not below k, as sort.Search does.
// Keys lie between first and end, mostly evenly, as ids are random: it begins
// where k would then be and looks around, for each look elsewhere is a cache
// line that has to come from memory.
func near(keys []uint64, k, first, end uint64) int {
	if len(keys) == 0 {
		return 0
	}
	lo, hi, step := 0, len(keys), 4
	at := 0
	if k > first {
		at = int(min((k-first)/max((end-first)/uint64(len(keys)), 1), uint64(len(keys)-1))) // within the keys
	}
	if keys[at] < k {
		lo = at + 1
		for next := lo + step; next < hi; next, step = next+step, 2*step {
			if keys[next] >= k {
				hi = next
				break
			}
			lo = next + 1
		}
	} else {
		hi = at
		for next := hi - step; next >= lo; next, step = next-step, 2*step {
			if keys[next] < k {
				lo = next + 1
				break
			}
			hi = next
		}
	}
	return lo + sort.Search(hi-lo, func(i int) bool { return keys[lo+i] >= k })
}

// cursor goes through an index in order. It must not be copied.
type cursor struct {
	root        *level[level[chunk]]
	i           int // the next directory
	d           *level[chunk]
	j           int      // the next chunk of d
	early, late []uint64 // of the present chunk, from the next number on
	space       [chunkTail]uint64
	last        uint64 // the number before, where any is true
	any         bool
}

// seek sets c to the first number not below k.
func (x *index) seek(c *cursor, k uint64) {
	*c = cursor{root: x.root.Load()}
	if c.root == nil {
		return
	}
	c.i = c.root.at(k)
	c.d = c.root.parts[c.i].Load()
	c.j = c.d.at(k)
	first, end := c.d.firsts[c.j], c.d.end(c.j, c.root.end(c.i, everything))
	c.i++
	c.load()
	c.early = c.early[near(c.early, k, first, end):]
	late, _ := slices.BinarySearch(c.late, k)
	c.late = c.late[late:]
}

// load goes on to the next chunk, and reports false where there is none.
func (c *cursor) load() bool {
	for c.j == len(c.d.parts) {
		if c.i == len(c.root.parts) {
			return false
		}
		c.d, c.j = c.root.parts[c.i].Load(), 0
		c.i++
	}
	part := c.d.parts[c.j].Load()
	c.early = part.keys[:part.sorted]
	c.late = append(c.space[:0], part.keys[part.sorted:part.used.Load()]...)
	slices.Sort(c.late)
	c.j++
	return true
}

// take returns the next number of the present chunk, which has one, if it is
// not above last.
func (c *cursor) take(last uint64) (k uint64, ok bool) {
	from := &c.early
	if len(c.early) == 0 || len(c.late) > 0 && c.late[0] < c.early[0] {
		from = &c.late
	}
	k = (*from)[0]
	if k > last {
		return 0, false
	}
	*from = (*from)[1:]
	return k, true
}

// next appends the following numbers to buf until it is full or one is above
// last; it appends none at the end. Of equal numbers it takes one.
func (c *cursor) next(buf []uint64, last uint64) []uint64 {
	for c.root != nil && len(buf) < cap(buf) {
		if len(c.early)+len(c.late) == 0 {
			if !c.load() {
				return buf
			}
			continue
		}
		k, ok := c.take(last)
		if !ok {
			return buf
		}
		if !c.any || c.last != k {
			buf = append(buf, k)
			c.last, c.any = k, true
		}
	}
	return buf
}

// everything is the highest number.
const everything = math.MaxUint64
