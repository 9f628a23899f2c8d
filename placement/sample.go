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
	slots  [SampleSize]int32
	scores [SampleSize]float32
	n      int
	seen   int // how many were offered to draw
}

// take adds a host and reports whether the sample is now full.
func (s *sample) take(slot int32, score float32) bool {
	s.slots[s.n], s.scores[s.n] = slot, score
	s.n++
	return s.n == SampleSize
}

// draw offers a host, of which each has the same chance to be in the sample in
// the end, and at any place in it, however many are offered.
func (s *sample) draw(slot int32, score float32, rng *rand.Rand) {
	s.seen++
	i := rng.IntN(s.seen)
	if s.n < SampleSize {
		s.slots[s.n], s.scores[s.n] = s.slots[i], s.scores[i]
		s.n++
	}
	if i < SampleSize {
		s.slots[i], s.scores[i] = slot, score
	}
}

// best takes the host with the highest score out of the sample.
func (s *sample) best() int32 {
	top := 0
	for i := 1; i < s.n; i++ {
		if s.scores[i] > s.scores[top] {
			top = i
		}
	}
	slot := s.slots[top]
	s.n--
	s.slots[top], s.scores[top] = s.slots[s.n], s.scores[s.n]
	return slot
}

// choose returns the best of the sample that fleet.Fits takes too.
func (x *Index) choose(s *sample, req *fleet.Request) (fleet.HostID, bool) {
	for s.n > 0 {
		if host := &x.rows[s.best()]; len(Judge(host, req)) == 0 {
			return host.ID, true
		}
	}
	return fleet.HostID{}, false
}
