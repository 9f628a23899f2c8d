package placement

import (
	"math/rand/v2"

	"grapevine/fleet"
)

// SampleSize is how many fitting hosts Pick scores. Two of them already take
// the peaks off; with eight, the choice is nearly as good as the best of all,
// and N registries that share one view still seldom choose alike.
const SampleSize = 8

// sample is up to SampleSize hosts that have room, and their scores.
type sample struct {
	seats  [SampleSize]seat
	scores [SampleSize]int64
	n      int
	seen   int // how many were offered to draw
}

// take adds a host and reports whether the sample is now full.
func (s *sample) take(at seat, score int64) bool {
	s.seats[s.n], s.scores[s.n] = at, score
	s.n++
	return s.n == SampleSize
}

// draw offers a host, of which each has the same chance to be in the sample in
// the end, and at any place in it, however many are offered.
func (s *sample) draw(at seat, score int64, rng *rand.Rand) {
	s.seen++
	i := rng.IntN(s.seen)
	if s.n < SampleSize {
		s.seats[s.n], s.scores[s.n] = s.seats[i], s.scores[i]
		s.n++
	}
	if i < SampleSize {
		s.seats[i], s.scores[i] = at, score
	}
}

// best takes the host with the highest score out of the sample.
func (s *sample) best() seat {
	top := s.scores[0] * SampleSize
	for i := 1; i < s.n; i++ {
		top = larger(top, s.scores[i]*SampleSize+int64(i))
	}
	return s.remove(int(top & (SampleSize - 1)))
}

// larger returns the larger number without a branch, which nobody could predict.
func larger(a, b int64) int64 {
	more := b - a
	return a + more&^(more>>63)
}

// remove takes the host at this place out of the sample.
func (s *sample) remove(top int) seat {
	best := s.seats[top]
	s.n--
	s.seats[top], s.scores[top] = s.seats[s.n], s.scores[s.n]
	return best
}

// choose returns the best of the sample that fleet.Fits takes too.
func (x *Index) choose(s *sample, req *fleet.Request) (slot int32, ok bool) {
	for s.n > 0 {
		if slot := x.classes.slot(s.best()); x.takes(slot, req) {
			return slot, true
		}
	}
	return 0, false
}
