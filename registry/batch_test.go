package registry

import (
	"fmt"
	"sync"
	"testing"

	"grapevine/fleet"
)

// One host is better than the others, and the registry hears nothing new of any
// while the batch is made.
func TestBatchSpreadsAlsoOverAStaleView(t *testing.T) {
	w := newWorld(t, 3)
	w.agents[0].row.Capacity = fleet.NewCapacity(fleet.Resources{VCPUs: 130, MemoryMiB: 1 << 20, DiskGiB: 100}, fleet.Resources{}, fleet.Resources{})
	c, _ := w.registry()
	one := c.Batch()
	var all sync.WaitGroup
	for i := range 33 {
		all.Go(func() {
			if _, err := one(t.Context(), create(fmt.Sprint("vm-", i), fmt.Sprint("k/", i))); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for n, want := range []int{13, 10, 10} {
		if got := w.agents[n].proposals(); got < want-2 || got > want+2 {
			t.Errorf("%s was asked for %d of 33 instances, want about %d, by what each has free", w.agents[n].row.Name, got, want)
		}
	}
	if _, err := one(t.Context(), create("vm-1", "k/1")); err != nil {
		t.Errorf("the same again: %v", err)
	}
}

func TestBatchForgetsWhatWasRefused(t *testing.T) {
	w := newWorld(t, 2)
	c, _ := w.registry()
	for _, a := range w.agents {
		a.set(func(a *fakeAgent) { a.slots = 1 })
	}
	in := create("vm", "")
	b := newBatch()
	made := 0
	for range 4 {
		if _, err := c.create(t.Context(), in, b); err == nil {
			made++
		} else {
			wantCode(t, err, fleet.CodeRefused)
		}
	}
	if made != 2 || len(b.taken) != 2 {
		t.Errorf("%d were made and %d count as taken, want 2 and 2", made, len(b.taken))
	}
}
