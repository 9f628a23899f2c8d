package view

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"grapevine/fleet"
	"grapevine/mesh"
)

// watchAll returns what a watch in the background yields; reading it is taking
// the next.
func watchAll(ctx context.Context, t *testing.T, v *View, host string) <-chan told {
	t.Helper()
	changes, err := v.Watch(ctx, host)
	if err != nil {
		t.Fatal(err)
	}
	out := make(chan told)
	go func() {
		defer close(out)
		for batch, err := range changes {
			out <- told{batch, err}
		}
	}()
	return out
}

type told struct {
	changes []fleet.HostChange
	err     error
}

// one takes the next change, which must come alone.
func one(t *testing.T, from <-chan told) fleet.HostChange {
	t.Helper()
	got := <-from
	if got.err != nil || len(got.changes) != 1 {
		t.Fatalf("got %+v, want one change", got)
	}
	return got.changes[0]
}

func TestWatchTellsWhichRowsCameChangedAndWent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newFakeMesh(t)
		first := m.publish(mesh.State{Host: host(1, "alpha"), Instances: []fleet.Instance{instance(7, "stays"), instance(8, "goes")}})
		ctx, cancel := context.WithCancel(t.Context())
		told := watchAll(ctx, t, m.view(), "")
		synctest.Wait()
		m.change(uuid(1), func(s *mesh.State) { s.Instances = append(s.Instances, instance(9, "comes")) })
		second := first
		second.Seq++
		want := fleet.HostChange{
			Host: uuid(1), HostName: "alpha", Before: first, Version: second, Added: 1,
			Rows: []fleet.RowChange{{Kind: "instance", ID: uuid(9).String(), Name: "comes"}},
		}
		if diff := cmp.Diff(want, one(t, told)); diff != "" {
			t.Errorf("one that came (-want +got)\n%s", diff)
		}
		m.change(uuid(1), func(s *mesh.State) {
			s.Instances = []fleet.Instance{instance(7, "stays"), instance(9, "comes")}
			s.Instances[0].Power = fleet.PowerStopped
		})
		third := second
		third.Seq++
		want = fleet.HostChange{
			Host: uuid(1), HostName: "alpha", Before: second, Version: third, Changed: 1, Deleted: 1,
			Rows: []fleet.RowChange{{Kind: "instance", ID: uuid(7).String(), Name: "stays"}, {Kind: "instance", ID: uuid(8).String(), Deleted: true}},
		}
		if diff := cmp.Diff(want, one(t, told)); diff != "" {
			t.Errorf("one that changed and one that went (-want +got)\n%s", diff)
		}
		m.publish(mesh.State{Host: host(2, "beta"), Instances: []fleet.Instance{instance(5, "vm")}})
		if got := one(t, told); !got.Before.IsZero() || got.Added != 2 || got.HostName != "beta" {
			t.Errorf("a new host: got %+v, want two rows added and no version before", got)
		}
		cancel()
		if _, more := <-told; more {
			t.Error("the watch outlives its context")
		}
	})
}

// A text that repeats costs the block a page of its string table.
func TestWatchTellsNothingOfTheStringTable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newFakeMesh(t)
		state := mesh.State{Host: fleet.Host{ID: uuid(1)}}
		for n := range byte(8) {
			state.Instances = append(state.Instances, fleet.Instance{ID: uuid(10 + n)})
		}
		m.publish(state)
		before := m.replica.Block(uuid(1)).Pages()
		ctx, cancel := context.WithCancel(t.Context())
		told := watchAll(ctx, t, m.view(), "")
		synctest.Wait()
		m.change(uuid(1), func(s *mesh.State) {
			for i := range s.Instances {
				s.Instances[i].Project = "the same long name of a project"
			}
		})
		if got := one(t, told); got.Added != 0 || got.Changed != 8 || got.Deleted != 0 || len(got.Rows) != 8 {
			t.Errorf("got %+v, want eight rows changed and none added", got)
		}
		if after := m.replica.Block(uuid(1)).Pages(); after <= before {
			t.Errorf("the block had %d pages of strings and has %d; this test is about a further one", before, after)
		}
		cancel()
		<-told
	})
}

func TestWatchOfOneHostTellsOfNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newFakeMesh(t)
		m.publish(mesh.State{Host: host(1, "alpha")})
		m.publish(mesh.State{Host: host(2, "beta")})
		ctx, cancel := context.WithCancel(t.Context())
		told := watchAll(ctx, t, m.view(), "beta")
		synctest.Wait()
		m.change(uuid(1), func(s *mesh.State) { s.Host.Instances = 5 })
		m.change(uuid(2), func(s *mesh.State) { s.Host.Instances = 6 })
		if got := one(t, told); got.HostName != "beta" || got.Changed != 1 || got.Rows[0].Kind != "host" {
			t.Errorf("got %+v, want beta's own row", got)
		}
		cancel()
		<-told
	})
}

// Memory does not grow while a reader takes nothing: it gets the newest version
// of each host, and how many it missed.
func TestSlowReaderIsToldHowManyVersionsItMissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newFakeMesh(t)
		first := m.publish(mesh.State{Host: host(1, "alpha")})
		ctx, cancel := context.WithCancel(t.Context())
		told := watchAll(ctx, t, m.view(), "")
		synctest.Wait()
		const missed = 10_000 // past what the replica remembers of changes
		for i := range missed + 1 {
			m.change(uuid(1), func(s *mesh.State) { s.Host.Instances = i + 1 })
			if i == 0 {
				synctest.Wait() // the watch has this one in its hands
			}
		}
		if got := one(t, told); got.Version.Seq != first.Seq+1 || got.Missed != 0 {
			t.Errorf("first: got %+v, want the next version", got)
		}
		got := one(t, told)
		if got.Version != m.replica.Version(uuid(1)) || got.Missed != missed-1 || got.Changed != 1 {
			t.Errorf("then: got %+v, want the newest version and %d missed", got, missed-1)
		}
		cancel()
		<-told
	})
}

func TestWatchShowsARestartAsAWholeNewAccount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newFakeMesh(t)
		m.publish(mesh.State{Host: host(1, "alpha"), Instances: []fleet.Instance{instance(7, "vm")}})
		ctx, cancel := context.WithCancel(t.Context())
		told := watchAll(ctx, t, m.view(), "")
		synctest.Wait()
		m.origins[uuid(1)].Begin(2, 78)
		m.change(uuid(1), func(s *mesh.State) { s.Host.Instances = 1 })
		if got := one(t, told); !got.Whole || got.Changed != 2 || got.Missed != 0 || got.Version.Epoch != 2 {
			t.Errorf("got %+v, want a whole block of epoch 2", got)
		}
		cancel()
		<-told
	})
}

func TestWatchSaysInSilenceThatItGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		told := watchAll(ctx, t, newFakeMesh(t).view(), "")
		began := time.Now()
		got := <-told
		if took := time.Since(began); got.err != nil || len(got.changes) > 0 || took != watchPulse {
			t.Errorf("got %+v after %s, want a pulse after %s", got, took, watchPulse)
		}
		cancel()
		<-told
	})
}

func TestEndOfTheNodeEndsItsWatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newFakeMesh(t).view()
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- v.Run(ctx) }()
		told := watchAll(t.Context(), t, v, "")
		synctest.Wait()
		stop()
		if got := <-told; !errors.Is(got.err, &fleet.Error{Code: fleet.CodeNotReady}) {
			t.Errorf("got %+v, want the end and why", got)
		}
		if _, more := <-told; more {
			t.Error("the watch goes on")
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestOnlySoManyMayWatchAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newFakeMesh(t).view()
		ctx, cancel := context.WithCancel(t.Context())
		for range fleet.MaxWatchers {
			if _, err := v.Watch(ctx, ""); err != nil {
				t.Fatal(err)
			}
		}
		_, err := v.Watch(ctx, "")
		wantCode(t, err, fleet.CodeTooMany)
		cancel()
		synctest.Wait()
		if _, err := v.Watch(ctx, ""); err != nil {
			t.Errorf("after the others have gone: %v", err)
		}
	})
}

func TestWatchOfAnUnknownHostIsRefused(t *testing.T) {
	_, err := newFakeMesh(t).view().Watch(t.Context(), "nobody")
	wantCode(t, err, fleet.CodeInvalid)
}
