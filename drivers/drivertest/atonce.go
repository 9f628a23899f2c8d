package drivertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/google/go-cmp/cmp"

	"grapevine/drivers"
	"grapevine/fleet"
)

// Cases about several callers at once.

// atOnce lets four callers do the same.
func (k *kit) atOnce(what string, do func() error) {
	k.Helper()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if err := do(); err != nil {
				k.Errorf("%s: %v", what, err)
			}
		})
	}
	wg.Wait()
}

func deleteAtOnce(k *kit) {
	spec := k.spec("deleted at once")
	before := k.storage()
	k.must(k.d.Build(k.Context(), spec))
	k.act(spec.Mark.ID, fleet.Start)
	k.atOnce("delete", func() error { return k.d.Delete(k.Context(), spec.Mark.ID) })
	if n := k.count(spec.Mark.ID); n != 0 {
		k.Errorf("%d machines", n)
	}
	if diff := cmp.Diff(before, k.storage()); diff != "" {
		k.Errorf("something was left:\n%s", diff)
	}
}

func startAndStopAtOnce(k *kit) {
	id := k.build("switched at once")
	for _, step := range []struct {
		action fleet.InstanceAction
		want   fleet.Power
	}{{fleet.Start, fleet.PowerRunning}, {fleet.Stop, fleet.PowerStopped}} {
		k.atOnce(string(step.action), func() error { return k.d.Act(k.Context(), id, step.action, drivers.ActOptions{}) })
		k.wantPower(id, step.want)
	}
}

func importAtOnce(k *kit) {
	im, content := k.h.Image()
	k.must(k.images().ImportImage(k.Context(), im, bytes.NewReader(content)))
	once := k.storage()
	k.must(k.images().RemoveImage(k.Context(), im.ID))
	k.atOnce("import", func() error { return k.images().ImportImage(k.Context(), im, bytes.NewReader(content)) })
	if diff := cmp.Diff(once, k.storage()); diff != "" {
		k.Errorf("four imports at once leave something else than one:\n%s", diff)
	}
	k.must(k.d.Build(k.Context(), k.spec("from it")))
}

// twoWatches: each of two drivers, and of two watches of one driver, is told.
func twoWatches(k *kit) {
	id := k.build("watched twice")
	watches := []*watching{k.watch(k.d), k.watch(k.d), k.watch(k.open())}
	seen := make([]int, len(watches))
	for i, w := range watches {
		seen[i] = w.seen()
	}
	k.act(id, fleet.Start)
	for i, w := range watches {
		k.eventually(fmt.Sprintf("watch %d is told", i), func() bool {
			return slices.ContainsFunc(w.since(seen[i]), func(e drivers.Event) bool { return e.ID == id || e.ID.IsZero() })
		})
	}
	watches[0].end()
	n := watches[1].seen()
	k.act(id, fleet.Stop)
	k.eventually("the other watch goes on", func() bool { return watches[1].seen() > n })
}

// marksAreThereFromTheFirst: a machine that is being built is never seen
// without its Mark, and never twice.
func marksAreThereFromTheFirst(k *kit) {
	spec := k.spec("marked")
	built := make(chan error, 1)
	go func() { built <- k.d.Build(k.Context(), spec) }()
	for ended := false; !ended; {
		select {
		case err := <-built:
			k.must(err)
			ended = true
		default:
		}
		n := 0
		for _, m := range k.list() {
			if m.ID != spec.Mark.ID {
				continue
			}
			if n++; m.Mark == nil || m.Mark.Name != spec.Mark.Name {
				k.Errorf("it is listed with the mark %+v", m.Mark)
			}
		}
		if n > 1 || ended && n != 1 {
			k.Errorf("it is listed %d times (built: %v)", n, ended)
		}
	}
}

// listIsSteady: machines that come and go do not hide or double another.
func listIsSteady(k *kit) {
	steady := k.define("steady")
	come := make(chan struct{})
	var others sync.WaitGroup
	others.Go(func() {
		defer close(come)
		for range 8 {
			id := k.h.Define(k, "guest")
			k.h.Remove(k, id)
		}
	})
	defer others.Wait()
	for going := true; going; {
		select {
		case <-come:
			going = false
		default:
		}
		list := k.list()
		if !slices.IsSortedFunc(list, func(a, b drivers.Machine) int { return a.ID.Compare(b.ID) }) {
			k.Error("the list is not ordered by id")
		}
		n := 0
		for i, m := range list {
			if i > 0 && m.ID == list[i-1].ID {
				k.Errorf("%s is listed twice", m.ID)
			}
			if m.ID == steady {
				n++
			}
		}
		if n != 1 {
			k.Fatalf("a machine that stays is listed %d times", n)
		}
	}
}

// closeEndsCalls: what is under way ends, and what is asked later is refused.
func closeEndsCalls(k *kit) {
	id := k.build("outlives its driver")
	d := k.open()
	began := make(chan struct{})
	ended := make(chan error, 1)
	var once sync.Once
	go func() { ended <- d.Watch(k.Context(), func(drivers.Event) { once.Do(func() { close(began) }) }) }()
	<-began
	k.must(d.Close())
	select {
	case err := <-ended:
		if !errors.Is(err, drivers.ErrUnavailable) {
			k.Errorf("Watch ended with %v, want ErrUnavailable", err)
		}
	case <-time.After(k.facts.Patience):
		k.Fatal("Watch goes on after Close")
	}
	k.wantUnavailable(d, id)
	k.wantPower(id, fleet.PowerStopped)
}

// cancelledDelete cuts deletes short after ever longer times: done again, they
// leave nothing.
func cancelledDelete(k *kit) {
	spec := k.spec("deleted in the end")
	empty := k.storage()
	k.must(k.d.Build(k.Context(), spec))
	began := time.Now()
	k.must(k.d.Delete(k.Context(), spec.Mark.ID))
	whole := time.Since(began)
	const tries = 5
	for i := range tries {
		k.must(k.d.Build(k.Context(), spec))
		ctx, cancel := context.WithTimeout(k.Context(), whole*time.Duration(i)/tries)
		err := k.d.Delete(ctx, spec.Mark.ID)
		cancel()
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			k.Errorf("cancelled delete: got %v, want the context's error", err)
		}
		k.must(k.d.Delete(k.Context(), spec.Mark.ID))
		if n := k.count(spec.Mark.ID); n != 0 {
			k.Errorf("try %d: %d machines", i, n)
		}
		if diff := cmp.Diff(empty, k.storage()); diff != "" {
			k.Errorf("try %d left something:\n%s", i, diff)
		}
	}
}
