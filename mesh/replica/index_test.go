package replica

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// content returns what a cursor and between find from k on.
func content(x *index, k uint64) (ordered, found []uint64) {
	var c cursor
	x.seek(&c, k)
	for {
		got := c.next(make([]uint64, 0, 7), everything)
		if len(got) == 0 {
			break
		}
		ordered = append(ordered, got...)
	}
	x.between(k, everything, func(k uint64) { found = append(found, k) })
	slices.Sort(found)
	return ordered, found
}

func TestIndexIsAnOrderedMultiset(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var x index
		var want []uint64
		few := rapid.Uint64Range(0, 50) // so that many are equal
		many := rapid.Uint64()
		for range rapid.IntRange(0, 3000).Draw(t, "steps") {
			k := few.Draw(t, "few")
			if rapid.Bool().Draw(t, "wide") {
				k = many.Draw(t, "many")
			}
			if i, had := slices.BinarySearch(want, k); rapid.IntRange(0, 3).Draw(t, "verb") > 0 {
				x.insert(k)
				want = slices.Insert(want, i, k)
			} else {
				x.remove(k)
				if had {
					want = slices.Delete(want, i, i+1)
				}
			}
		}
		from := many.Draw(t, "from")
		for _, k := range []uint64{0, from} {
			i, _ := slices.BinarySearch(want, k)
			ordered, found := content(&x, k)
			if diff := cmp.Diff(want[i:], found, cmp.Transformer("empty", func(s []uint64) []uint64 { return append([]uint64{}, s...) })); diff != "" {
				t.Fatalf("between finds (-want +got):\n%s", diff)
			}
			if once := slices.Compact(slices.Clone(want[i:])); !slices.Equal(once, ordered) {
				t.Fatalf("a cursor goes through %d numbers, want %d", len(ordered), len(once))
			}
		}
	})
}

func TestIndexHoldsMany(t *testing.T) {
	var x index
	const n = 100_000
	for i := range uint64(n) {
		x.insert(i * 0x9E3779B97F4A7C15)
	}
	if ordered, _ := content(&x, 0); len(ordered) != n || !slices.IsSorted(ordered) {
		t.Fatalf("%d numbers, in order: %v", len(ordered), slices.IsSorted(ordered))
	}
	for i := range uint64(n) {
		x.remove(i * 0x9E3779B97F4A7C15)
	}
	if ordered, found := content(&x, 0); len(ordered)+len(found) > 0 {
		t.Fatalf("%d numbers are left", len(found))
	}
}
