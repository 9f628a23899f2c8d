package placement

import "testing"

func TestWalkComesToEveryPlaceOnceARound(t *testing.T) {
	rng := newTestRNG()
	for total := 1; total < 300; total++ {
		w, seen := newWalk(total, rng), make([]int, total)
		for range 2 * total {
			seen[w.next()]++
		}
		for i, n := range seen {
			if n != 2 {
				t.Fatalf("in two rounds of %d places, a walk came %d times to %d", total, n, i)
			}
		}
	}
}

// TestWalkFavoursNoPlaceAtAnyStep: also those steps that pass over places
// beyond the last lead to each as often.
func TestWalkFavoursNoPlaceAtAnyStep(t *testing.T) {
	const total, steps, walks = 11, 8, 50000
	var seen [steps][total]int
	rng := newTestRNG()
	for range walks {
		w := newWalk(total, rng)
		for step := range steps {
			seen[step][w.next()]++
		}
	}
	for step := range seen {
		for i, n := range seen[step] {
			if want := walks / total; n < want*9/10 || n > want*11/10 {
				t.Errorf("step %d led %d times to %d, want about %d", step, n, i, want)
			}
		}
	}
}
