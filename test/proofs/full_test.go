package proofs

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"grapevine/api/client"
	"grapevine/drivers/simulated"
	"grapevine/fleet"
)

// TestProof02FullFleetPromisesWhatItHasAndNoMore sends creates, all at once, at
// a fleet that is 97 % full: every slot is taken, none is twice, and whoever is
// refused is told by every host what it lacked.
func TestProof02FullFleetPromisesWhatItHasAndNoMore(t *testing.T) {
	const hosts, slots = 20, 100
	creates := long(10_000, 500)
	synctest.Test(t, func(t *testing.T) {
		nano := fleet.Resources{VCPUs: 1, MemoryMiB: 128}
		w := NewWorld(t, 2, hosts, 2, fleet.Resources{VCPUs: slots, MemoryMiB: slots * nano.MemoryMiB, DiskGiB: 10_000})
		free := 0
		for n, h := range w.Hosts {
			for i := range slots - 1 - n%5 { // 3 % are free
				if _, err := h.Hypervisor.Define(simulated.Foreign{Name: fmt.Sprint("old-", i), Resources: nano, Running: true}); err != nil {
					t.Fatal(err)
				}
			}
			free += 1 + n%5
		}
		w.Await(time.Minute, "the registries know how full the hosts are", func() error { return w.knowFree(int64(free)) })

		accepted, refused := w.createAtOnce(creates)
		if accepted != min(free, creates) {
			t.Errorf("%d of %d creates were accepted, and there was room for %d", accepted, creates, free)
		}
		for id, on := range w.copies() {
			if len(on) != 1 {
				t.Errorf("instance %s is on %d hosts", id, len(on))
			}
		}
		for _, h := range w.Hosts {
			if used := h.used(); used.MemoryMiB > h.size.MemoryMiB || used.VCPUs > h.size.VCPUs {
				t.Errorf("%s holds %+v of %+v", h.Name, used, h.size)
			}
		}
		for _, err := range refused {
			if why := untrue(err, hosts); why != "" {
				t.Fatalf("refused by %v, and %s", err, why)
			}
		}
		t.Logf("%d creates at once, room for %d: %d accepted, %d refused", creates, free, accepted, len(refused))
	})
}

// knowFree says which registry does not know yet that there is so much room.
func (w *World) knowFree(vcpus int64) error {
	for _, r := range w.Registries {
		list, err := r.Client.Hosts(w.t.Context())
		if err != nil {
			return err
		}
		var free int64
		for i := range list.Items {
			free += list.Items[i].Capacity.VCPUs.Free
		}
		if free != vcpus {
			return fmt.Errorf("%s knows of %d free vCPUs, and there are %d", r.Name, free, vcpus)
		}
	}
	return nil
}

// createAtOnce sends so many creates at the same moment, half of them to each
// registry, and returns how many were accepted, and every other answer.
func (w *World) createAtOnce(creates int) (accepted int, refused []error) {
	var all sync.WaitGroup
	var mu sync.Mutex
	for n := range creates {
		all.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
			defer cancel()
			at := w.Registries[n%len(w.Registries)].Client
			_, err := at.CreateInstance(ctx, fleet.Create{Name: fmt.Sprint("new-", n), Flavor: "nano", Image: "tiny"}, client.CreateOptions{Key: fmt.Sprint("key-", n)})
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				accepted++
				return
			}
			refused = append(refused, err)
		})
	}
	all.Wait()
	return accepted, refused
}

// untrue says what is not true of a refusal of a full fleet.
func untrue(err error, hosts int) string {
	var e *fleet.Error
	switch {
	case !errors.As(err, &e) || e.Code != fleet.CodeRefused:
		return "that is no refusal"
	case len(e.Verdicts) != hosts:
		return fmt.Sprintf("%d of %d hosts are named", len(e.Verdicts), hosts)
	}
	for _, v := range e.Verdicts {
		for _, r := range v.Refusals {
			if r.Code != fleet.RefuseCapacity {
				return fmt.Sprintf("%s gives %s as its reason", v.HostName, r.Code)
			}
		}
	}
	return ""
}
