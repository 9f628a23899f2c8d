package proofs

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"grapevine/api/client"
	"grapevine/fleet"
)

// TestProof02BatchTellsOfEachInstance asks a fleet with room for 60 for a batch
// of 100, and again: 60 are made, spread evenly and accounted for once, 40 are
// truly refused, and the answer is the same. It is another registry that is
// asked again.
func TestProof02BatchTellsOfEachInstance(t *testing.T) {
	const hosts, slots, count = 6, 10, 100
	synctest.Test(t, func(t *testing.T) {
		nano := fleet.Resources{VCPUs: 1, MemoryMiB: 128}
		w := NewWorld(t, 3, hosts, 2, fleet.Resources{VCPUs: slots, MemoryMiB: slots * nano.MemoryMiB, DiskGiB: 10_000})
		half := w.batch(w.Registries[0], hosts*slots/2)
		if half.Accepted != hosts*slots/2 {
			t.Fatalf("%d of %d were accepted by an empty fleet", half.Accepted, hosts*slots/2)
		}
		on := map[string]int{}
		for _, item := range half.Items {
			on[item.Accepted.Instance.HostName]++
		}
		for _, h := range w.Hosts {
			if n := on[h.Name]; n < slots/2-1 || n > slots/2+1 {
				t.Errorf("half of what the fleet has room for is spread as %v", on)
				break
			}
		}
		first := w.batch(w.Registries[0], count)
		again := w.batch(w.Registries[1], count)
		if diff := cmp.Diff(w.outcomes(half), w.outcomes(first)[:hosts*slots/2]); diff != "" {
			t.Errorf("the larger batch under the same key is another (-half +whole):\n%s", diff)
		}
		if diff := cmp.Diff(w.outcomes(first), w.outcomes(again)); diff != "" {
			t.Errorf("asked again, the answer is another (-first +again):\n%s", diff)
		}
		if first.Accepted != hosts*slots || first.Failed != count-hosts*slots {
			t.Errorf("%d were accepted and %d not, and there was room for %d of %d", first.Accepted, first.Failed, hosts*slots, count)
		}
		w.Await(time.Minute, "every instance that was accepted is there once, and the hosts account for it", func() error {
			copies := w.copies()
			if len(copies) != hosts*slots {
				return fmt.Errorf("%d machines", len(copies))
			}
			for _, item := range first.Items {
				if item.Accepted != nil && len(copies[item.Accepted.Instance.ID]) != 1 {
					return fmt.Errorf("%s is on %d hosts", item.Name, len(copies[item.Accepted.Instance.ID]))
				}
			}
			return w.knowFree(0)
		})
	})
}

// batch asks for so many, under one key. What a batch of which none was made
// tells is in its error.
func (w *World) batch(at *Registry, count int) fleet.Batch {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 10*time.Minute)
	defer cancel()
	many := fleet.CreateMany{Create: fleet.Create{Name: "web", Flavor: "nano", Image: "tiny"}, Count: count}
	sum, err := at.Client.CreateBatch(ctx, many, client.CreateOptions{Key: "batch", Wait: time.Minute})
	if e, ok := errors.AsType[*fleet.Error](err); ok && e.Batch != nil {
		return *e.Batch
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return sum
}

// outcomes is, of each item, the instance and its host, or the code of its
// problem, which must be true of a full fleet.
func (w *World) outcomes(sum fleet.Batch) []string {
	w.t.Helper()
	out := make([]string, len(sum.Items))
	for i, item := range sum.Items {
		if item.Accepted != nil {
			out[i] = fmt.Sprint(item.Name, " ", item.Accepted.Instance.ID, " on ", item.Accepted.Instance.HostName)
			continue
		}
		if why := untrue(item.Problem.Err(), len(w.Hosts)); why != "" {
			w.t.Errorf("%s: %s, and %s", item.Name, item.Problem.Detail, why)
		}
		out[i] = fmt.Sprint(item.Name, " ", item.Problem.Code)
	}
	return out
}
