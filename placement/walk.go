package placement

import (
	"math/bits"
	"math/rand/v2"
)

// walk goes around the numbers from 0 to total-1 from a random start with a
// random stride. So each number comes once in a round, at any step each is as
// likely as any other, and nothing is remembered. It goes in a ring of a power
// of two, with which every odd stride is coprime, and passes over what is not
// below total, less than half of the ring. Short strides are as likely as
// others and no likelier, for neighbours have about the same memory.
type walk struct{ at, stride, ring, total uint32 }

func newWalk(total int, rng *rand.Rand) walk {
	ring := uint32(1) << bits.Len32(uint32(total-1))
	return walk{at: rng.Uint32N(uint32(total)), stride: rng.Uint32() | 1, ring: ring - 1, total: uint32(total)}
}

// next returns where the walk is, and takes it on.
func (w *walk) next() int32 {
	at := w.at
	for {
		w.at = (w.at + w.stride) & w.ring
		if w.at < w.total {
			return int32(at)
		}
	}
}
