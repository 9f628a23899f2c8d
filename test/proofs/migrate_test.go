package proofs

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"grapevine/api/client"
	"grapevine/fleet"
)

// stopped creates an instance under a key, with words on its disk, and stops it.
func (w *World) stopped(key string) fleet.Instance {
	w.t.Helper()
	made := w.keyed(key)
	host := w.hostOf(made.Host)
	if _, err := host.Client.ActInstance(w.t.Context(), made.ID, fleet.Stop, client.ActOptions{Force: true, Wait: time.Minute}); err != nil {
		w.t.Fatal(err)
	}
	if err := host.Hypervisor.WriteDisk(made.ID, "disk-0", 100, []byte("words of "+key)); err != nil {
		w.t.Fatal(err)
	}
	return made
}

// TestProof09StoppedInstanceMovesWithAllThatItHas moves one, and finds it by its
// key.
func TestProof09StoppedInstanceMovesWithAllThatItHas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := NewWorld(t, 9, 6, 1, fleet.Resources{VCPUs: 8, MemoryMiB: 4096, DiskGiB: 100})
		made := w.stopped("web")
		from := w.hostOf(made.Host)
		accepted, err := w.Registries[0].Client.MigrateInstance(t.Context(), made.ID, fleet.Migrate{}, client.KeyedOptions{Wait: 5 * time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		row := accepted.Instance
		if accepted.Gone || row.Host == made.Host || row.Generation != 2 || row.Task != fleet.TaskNone || row.Power != fleet.PowerStopped || !row.CreatedAt.Equal(made.CreatedAt) || row.Fault != "" {
			t.Errorf("it is %+v (gone: %v)", row, accepted.Gone)
		}
		to := w.hostOf(row.Host)
		if from.machine(made.ID) != nil || to.machine(made.ID) == nil {
			t.Errorf("the machine is at %s: %v, at %s: %v", from.Name, from.machine(made.ID), to.Name, to.machine(made.ID))
		}
		time.Sleep(time.Minute)
		if again := w.keyed("web"); again.ID != made.ID || again.Host != to.ID {
			t.Errorf("the same request is answered with %s at %s", again.ID, again.HostName)
		}
		if _, err := to.Client.ActInstance(t.Context(), made.ID, fleet.Start, client.ActOptions{Wait: time.Minute}); err != nil {
			t.Error(err)
		}
		o := newOracle()
		w.Await(time.Minute, "all is told", func() error { return w.toldBy(6, o) })
		if list, err := w.Registries[0].Client.Verify(t.Context()); err != nil || len(list.Items) > 0 {
			t.Errorf("verify finds %+v, %v", list.Items, err)
		}
	})
}

// TestProof09MigrationCutAtEveryStepHasOneOwner kills the host that an instance
// leaves, the one that it goes to, or both, or cuts them apart, at each point that
// one of them comes by, mends that, and looks at whose the instance is.
func TestProof09MigrationCutAtEveryStepHasOneOwner(t *testing.T) {
	const seed = 9
	synctest.Test(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(seed, 0))
		w := newMoveWorld(t)
		rounds, moved, breaches := 0, 0, 0
		next := func(b func(*moving) *breach) error {
			rounds++
			m := &moving{World: w, from: w.Hosts[0], to: w.Hosts[3], key: fmt.Sprint("web-", rounds)}
			if err := m.prepare(); err != nil {
				return fmt.Errorf("prepare: %w", err)
			}
			broken, err := m.travel(b(m))
			if broken {
				breaches++
			}
			if err != nil {
				return err
			}
			at, err := m.judge()
			if err != nil {
				return err
			}
			if at == m.to {
				moved++
			}
			return m.tidy(at)
		}
		err := next(func(*moving) *breach { return nil })
		if err != nil || moved != 1 {
			t.Fatalf("undisturbed: %v, moved %d", err, moved)
		}
		type at struct {
			host  int
			point point
		}
		var all []at
		for _, n := range []int{0, 3} {
			for _, p := range w.Hosts[n].points.list() {
				all = append(all, at{n, p})
			}
		}
		for i, a := range all {
			for _, what := range []string{killThis, killOther, killBoth, cutApart} {
				if rng.IntN(100) >= long(100, 12) {
					continue
				}
				lasts := []time.Duration{time.Second, 20 * time.Second, 4 * time.Minute}[rng.IntN(3)]
				var b *breach
				err := next(func(*moving) *breach {
					b = &breach{at: w.Hosts[a.host], point: a.point, what: what, lasts: lasts}
					return b
				})
				if err != nil {
					t.Errorf("%v (point %d of %d):\n%v", b, i+1, len(all), err)
					w = newMoveWorld(t)
				}
			}
		}
		t.Logf("%d points, %d rounds, %d broken, %d moved", len(all), rounds, breaches, moved)
	})
}

// newMoveWorld is a small fleet with two hosts of each kind.
func newMoveWorld(t *testing.T) *World {
	t.Helper()
	return NewWorld(t, 9, 6, 1, fleet.Resources{VCPUs: 16, MemoryMiB: 16384, DiskGiB: 100})
}
