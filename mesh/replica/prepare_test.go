package replica_test

import (
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"grapevine/mesh/replica"
)

// Whatever is done ahead, the same deltas come to the same.
func TestPreparedDeltaIsAppliedAsOneThatIsNot(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := deltas(history(1, 6, func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "n") }))
		plain, ahead := replica.New(), replica.New()
		for _, i := range rapid.Permutation(indexes(len(all))).Draw(t, "order") {
			d := all[i]
			if rapid.IntRange(0, 5).Draw(t, "tamper") == 0 && len(d.Rows) > 1 {
				d.Rows = d.Rows[1:]
			}
			want, _ := plain.Apply(d, peer, start)
			ds := []replica.Delta{d}
			replica.Prepare(ds)
			d = ds[0]
			if got, _ := ahead.Apply(d, peer, start); got != want {
				t.Fatalf("a prepared delta was %v, the same without %v", got, want)
			}
			if plain.Root() != ahead.Root() {
				t.Fatal("the replicas differ")
			}
		}
	})
}

// indexes are the numbers from 0 to before n.
func indexes(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

func TestPreparedDeltaKeepsNothingOfItsMemory(t *testing.T) {
	o := replica.NewOrigin(host(1))
	o.Begin(1, 7)
	block := publish(t, o, row(1, 1), row(2, 1))
	d, _ := block.Since(replica.Head{})
	for i := range d.Rows {
		d.Rows[i].Body = slices.Clone(d.Rows[i].Body)
	}
	ds := []replica.Delta{d}
	replica.Prepare(ds)
	d = ds[0]
	for i := range d.Rows {
		clear(d.Rows[i].Body) // as when the next frame is read into the same memory
	}
	r := replica.New()
	if got, err := r.Apply(d, peer, start); got != replica.Applied {
		t.Fatal(got, err)
	}
	again, _ := r.Block(host(1)).Since(replica.Head{})
	if got, err := replica.New().Apply(again, peer, start); got != replica.Applied || errors.Is(err, replica.ErrMismatch) {
		t.Fatalf("what was kept is %v: %v", got, err)
	}
}
