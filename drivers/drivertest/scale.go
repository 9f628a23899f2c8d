package drivertest

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"grapevine/drivers"
	"grapevine/fleet"
)

func manyMachines(k *kit) {
	ids := make([]fleet.InstanceID, k.facts.Many)
	for i := range ids {
		ids[i] = k.h.Define(k, fmt.Sprintf("many-%05d", i))
		defer k.h.Remove(k, ids[i])
	}
	began := time.Now()
	list := k.list()
	if took := time.Since(began); took > k.facts.ListWithin {
		k.Errorf("listing %d machines took %s, want at most %s", len(list), took, k.facts.ListWithin)
	} else {
		k.Logf("listed %d machines in %s", len(list), took)
	}
	listed := make(map[fleet.InstanceID]int, len(list))
	for _, m := range list {
		listed[m.ID]++
	}
	for _, id := range ids {
		if listed[id] != 1 {
			k.Fatalf("machine %s is listed %d times", id, listed[id])
		}
	}
	if !slices.IsSortedFunc(list, func(a, b drivers.Machine) int { return a.ID.Compare(b.ID) }) {
		k.Error("the list is not ordered by id")
	}
}

// concurrentUse lets several callers work on their own machines through one
// driver while others list.
func concurrentUse(k *kit) {
	const callers = 4
	specs := make([]drivers.Spec, callers)
	for i := range specs {
		specs[i] = k.spec(fmt.Sprintf("concurrent-%d", i))
	}
	w := k.watch(k.d)
	var work, readers sync.WaitGroup
	over := make(chan struct{})
	for range 2 {
		readers.Go(func() {
			for {
				select {
				case <-over:
					return
				default:
				}
				if _, err := k.d.List(k.Context()); err != nil {
					k.Errorf("list: %v", err)
					return
				}
			}
		})
	}
	for _, spec := range specs {
		work.Go(func() {
			if err := k.life(spec); err != nil {
				k.Error(err)
			}
		})
	}
	work.Wait()
	close(over)
	readers.Wait()
	w.end()
	for _, spec := range specs {
		if n := k.count(spec.Mark.ID); n != 0 {
			k.Errorf("%d machines of %s are left", n, spec.Mark.Name)
		}
	}
}

// life is all that happens to a machine. It runs outside the test's own
// goroutine and so returns its error.
func (k *kit) life(spec drivers.Spec) error {
	ctx, id := k.Context(), spec.Mark.ID
	for range 2 {
		if err := k.d.Build(ctx, spec); err != nil {
			return err
		}
		for _, action := range []fleet.InstanceAction{fleet.Start, fleet.Reboot, fleet.Stop, fleet.Start} {
			if err := k.d.Act(ctx, id, action, drivers.ActOptions{}); err != nil {
				return err
			}
		}
		if m, err := k.d.Inspect(ctx, id); err != nil || m.Power != fleet.PowerRunning {
			return fmt.Errorf("inspect %s: %s, %w", spec.Mark.Name, m.Power, err)
		}
		if err := k.d.Delete(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

func closeLeavesNothing(k *kit) {
	id := k.build("stays")
	k.must(k.d.Close())
	before := runtime.NumGoroutine()
	for range 3 {
		d := k.h.Open(k)
		ended := make(chan error, 1)
		go func() { ended <- d.Watch(k.Context(), func(drivers.Event) {}) }()
		if _, err := d.List(k.Context()); err != nil {
			k.Error(err)
		}
		k.must(d.Close())
		select {
		case err := <-ended:
			if err == nil {
				k.Error("Watch ended with Close and no error")
			}
		case <-time.After(k.facts.Patience):
			k.Fatal("Watch goes on after Close")
		}
		k.must(d.Close())
	}
	after := 0
	defer func() {
		if after > before {
			buf := make([]byte, 1<<20)
			k.Logf("goroutines: %d before, %d after\n%s", before, after, buf[:runtime.Stack(buf, true)])
		}
	}()
	k.eventually("no more goroutines than before", func() bool { after = runtime.NumGoroutine(); return after <= before })
	k.d = k.open()
	k.wantPower(id, fleet.PowerStopped)
}
