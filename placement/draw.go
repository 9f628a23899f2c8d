package placement

import (
	"math/bits"

	"grapevine/fleet"
)

// drawWalking samples the field on a random walk around it; when the walk ends
// with nothing, nothing fits. It asks for the rooms of a few steps before it
// looks at any: what the steps wait for is memory, and they can wait together.
func (x *Index) drawWalking(q *query, f *field, s *sample) {
	w := newWalk(f.total, q.rng)
	var seats [SampleSize]seat
	var rooms [SampleSize]room
	for left := f.total; left > 0; left -= SampleSize {
		n := min(left, SampleSize)
		for k := range n {
			seats[k] = f.seat(w.next())
			rooms[k] = *x.classes.room(seats[k])
		}
		for k := range n {
			if x.admits(q, seats[k], &rooms[k]) && s.take(seats[k], rooms[k].score(q.how, &q.need)) {
				return
			}
		}
	}
}

// poolShare is of how many hosts that may fit packing takes the one with least
// memory into its pool. All of a fleet's registries want the fullest hosts; a
// pool of a sixteenth keeps them from wanting the same one, and costs hardly
// any emptiness.
const poolShare = 16

// drawLowest samples the pool, the hosts with least free memory, and while none
// of it fits, a pool four times as large.
func (x *Index) drawLowest(q *query, f *field, s *sample) {
	all := f.total
	for pool := max(SampleSize, all/poolShare); s.n == 0 && f.total > 0; pool *= 4 {
		x.narrow(q, f, pool)
		x.drawWalking(q, f, s)
		if f.total == all {
			return
		}
	}
}

// narrow leaves in the field the lowest buckets that have at least pool hosts,
// or all.
func (x *Index) narrow(q *query, f *field, pool int) {
	pool += x.below(f, int(q.low))
	low, high := int(q.low)+1, buckets // bounds of the first bucket left out
	for low < high {
		if middle := (low + high) / 2; x.below(f, middle) < pool {
			low = middle + 1
		} else {
			high = middle
		}
	}
	end, total := x.classes.start[high], int32(0)
	for i, sp := range f.spans {
		f.spans[i].before = total
		total += end[sp.class] - f.from[sp.class]
	}
	f.total = int(total)
}

// below returns how many hosts of the field's classes are in buckets below this
// one.
func (x *Index) below(f *field, bucket int) int {
	n, start := int32(0), x.classes.start[bucket]
	for _, sp := range f.spans {
		n += start[sp.class]
	}
	return int(n)
}

// drawThese samples a few hosts: the holders of the image, or those with a label.
func (x *Index) drawThese(q *query, few *bitmap, filters []*bitmap, s *sample) {
	lowest := int32(buckets)
	for w, word := range few.words {
		for ; word != 0; word &= word - 1 {
			slot := int32((few.base+w)<<6 + bits.TrailingZeros64(word))
			at := x.classes.seats[slot]
			if !inAll(filters, at.class) {
				continue
			}
			r := x.classes.room(at)
			if !x.admits(q, at, r) {
				continue
			}
			if bucket := bucketOf(r.memory); q.how == fleet.Pack && bucket != lowest {
				if bucket > lowest {
					continue
				}
				lowest, *s = bucket, sample{}
			}
			s.draw(at, r.score(q.how, &q.need), q.rng)
		}
	}
}

// inAll reports whether the class is one that every filter lets through.
func inAll(filters []*bitmap, class int32) bool {
	return class != closed && inEach(filters, class)
}

// inEach reports whether i is in every one of the sets.
func inEach(sets []*bitmap, i int32) bool {
	for _, b := range sets {
		if !b.has(i) {
			return false
		}
	}
	return true
}

// drawThoroughly asks fleet.Fits of every open host. It is for when Fits refused
// all that the index found, and is right whatever the rooms say.
func (x *Index) drawThoroughly(q *query, req *fleet.Request, s *sample) {
	for slot, at := range x.classes.seats {
		if at.class == closed {
			continue
		}
		if !q.exclude[x.rows[slot].id()] && x.takes(int32(slot), req) {
			s.draw(at, x.classes.room(at).score(q.how, &q.need), q.rng)
		}
	}
}
