package placement

import (
	"math/bits"
	"math/rand/v2"

	"grapevine/fleet"
)

// drawWalking samples the field at random: a walk around it from a random
// start with a random stride that shares no divisor with its size. So each
// host comes at most once, nothing is remembered, and when the walk ends with
// nothing, nothing fits. It looks up a few steps ahead before it looks at any
// host: what the steps wait for is memory, and they can wait together.
func (x *Index) drawWalking(q *query, f *field, s *sample) {
	i, stride := q.rng.IntN(f.total), strideFor(f.total, q.rng)
	var steps [SampleSize]*room
	for left := f.total; left > 0; left -= len(steps) {
		ahead := steps[:min(left, len(steps))]
		for k := range ahead {
			ahead[k] = x.member(f.spans, i)
			if i += stride; i >= f.total {
				i -= f.total
			}
		}
		for _, r := range ahead {
			if x.admits(q, r) && s.take(r.slot, r.score(q.how, &q.need)) {
				return
			}
		}
	}
}

// member returns the host at place i of the field.
func (x *Index) member(spans []span, i int) *room {
	low := 0
	for n := len(spans); n > 1; {
		half := n / 2
		if int(spans[low+half].before) <= i {
			low += half
		}
		n -= half
	}
	sp := &spans[low]
	return &x.classes.members[sp.class][int(sp.from)+i-int(sp.before)]
}

// strideFor returns a random stride for a walk around total hosts: any number
// up to total that shares no divisor with it. Short strides are as likely as
// others and no likelier, for neighbours have about the same memory.
func strideFor(total int, rng *rand.Rand) int {
	for {
		if stride := 1 + rng.IntN(total); coprime(uint(stride), uint(total)) {
			return stride
		}
	}
}

// coprime reports whether a and b, both above 0, share no divisor but 1. It is
// Stein's algorithm: a stride is drawn for every choice, and divisions are slow.
func coprime(a, b uint) bool {
	if (a|b)&1 == 0 {
		return false
	}
	a >>= bits.TrailingZeros(a)
	for b != 0 {
		b >>= bits.TrailingZeros(b)
		a, b = min(a, b), max(a, b)-min(a, b)
	}
	return a == 1
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
	low, high := int(q.low)+1, buckets // bounds of the first bucket left out
	for low < high {
		if middle := (low + high) / 2; x.below(f, middle) < pool {
			low = middle + 1
		} else {
			high = middle
		}
	}
	f.total = 0
	for i := range f.spans {
		sp := &f.spans[i]
		sp.before = int32(f.total)
		f.total += int(x.classes.start[high][sp.class] - sp.from)
	}
}

// below returns how many hosts of the field are in buckets below this one.
func (x *Index) below(f *field, bucket int) (n int) {
	start := x.classes.start[bucket]
	for i := range f.spans {
		n += int(start[f.spans[i].class] - f.spans[i].from)
	}
	return n
}

// drawHolders samples the holders of the image.
func (x *Index) drawHolders(q *query, filters []*bitmap, s *sample) {
	lowest := int32(buckets)
	for w, word := range q.image.words {
		for ; word != 0; word &= word - 1 {
			slot := int32((q.image.base+w)<<6 + bits.TrailingZeros64(word))
			if !inAll(filters, x.classes.seats[slot].class) {
				continue
			}
			r := x.classes.room(slot)
			if !x.admits(q, r) {
				continue
			}
			if bucket := bucketOf(r.memory); q.how == fleet.Pack && bucket != lowest {
				if bucket > lowest {
					continue
				}
				lowest, *s = bucket, sample{}
			}
			s.draw(slot, r.score(q.how, &q.need), q.rng)
		}
	}
}

// inAll reports whether the class is one that every filter lets through.
func inAll(filters []*bitmap, class int32) bool {
	if class == closed {
		return false
	}
	for _, b := range filters {
		if !b.has(class) {
			return false
		}
	}
	return true
}

// drawThoroughly asks fleet.Fits of every host. It is for when Fits refused
// all that the index found, and is right whatever the index believes.
func (x *Index) drawThoroughly(q *query, req *fleet.Request, s *sample) {
	for slot := range x.rows {
		host := &x.rows[slot]
		if host.ID.IsZero() || q.exclude[host.ID] || len(Judge(host, req)) > 0 {
			continue
		}
		r := newRoom(int32(slot), &host.Capacity)
		s.draw(r.slot, r.score(q.how, &q.need), q.rng)
	}
}
