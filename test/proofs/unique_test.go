package proofs

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"grapevine/api/client"
	"grapevine/fleet"
)

// tally is what came of requests for unique names, behind one lock.
type tally struct {
	mu     sync.Mutex
	counts map[string]int
	broken []string
}

func (c *tally) count(word string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counts[word]++
}

func (c *tally) complain(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.broken = append(c.broken, fmt.Sprintf(format, args...))
}

// TestProof20UniqueNameIsOneMachines has clients create and delete instances of
// few names through two registries, while agents are killed and the network is
// cut: at no moment do two machines have one name, and in the end each name can
// be had again.
func TestProof20UniqueNameIsOneMachines(t *testing.T) {
	const clients = 6
	names := []string{"db", "mail", "web"}
	synctest.Test(t, func(t *testing.T) {
		w := NewWorld(t, 20, 5, 2, fleet.Resources{VCPUs: 16, MemoryMiB: 4096, DiskGiB: 100})
		h, c := NewHistory(w), &tally{counts: map[string]int{}}
		end := time.Now().Add(time.Duration(long(120, 10)) * time.Minute)
		var all sync.WaitGroup
		for n := range clients {
			rng := rand.New(rand.NewPCG(20, uint64(n))) // repeatable
			all.Go(func() { w.wantNames(c, rng, names, n, end) })
		}
		all.Go(func() {
			for ; time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
				w.checkNames(c)
			}
		})
		h.disturbUntil(end, &all)
		for _, name := range names {
			w.Await(5*time.Minute, name+" can be had again", func() error { return w.hadAgain(name) })
		}
		w.checkNames(c)
		if len(c.broken) > 0 {
			t.Errorf("%d times two machines had one name, first: %s", len(c.broken), c.broken[0])
		}
		for _, word := range []string{"created", "deleted", string(fleet.CodeNameTaken)} {
			if c.counts[word] < clients {
				t.Errorf("%d were %s: the proof shows nothing", c.counts[word], word)
			}
		}
		t.Logf("%v", c.counts)
	})
}

// wantNames is one client's life: it creates under a new key, or again under the
// last one, and deletes what others and itself have made.
func (w *World) wantNames(c *tally, rng *rand.Rand, names []string, who int, end time.Time) {
	for n := 0; time.Now().Before(end); n++ {
		time.Sleep(time.Duration(rng.ExpFloat64() * float64(2*time.Second)))
		at := w.Registries[rng.IntN(len(w.Registries))].Client
		name := names[rng.IntN(len(names))]
		ctx, cancel := context.WithTimeout(w.t.Context(), 30*time.Second)
		if rng.IntN(3) == 0 {
			c.count(w.deleteNamed(ctx, at, name))
		} else {
			_, err := at.CreateInstance(ctx, fleet.Create{Name: name, Flavor: "nano", Image: "tiny", UniqueName: true},
				client.CreateOptions{Key: fmt.Sprintf("%s-%d-%d", name, who, n/2)})
			c.count(wordFor("created", err))
		}
		cancel()
	}
}

// deleteNamed deletes what a registry shows under a name.
func (w *World) deleteNamed(ctx context.Context, at *client.Client, name string) string {
	rows, err := at.AllInstances(ctx, fleet.InstanceQuery{Name: name})
	if err != nil || len(rows.Items) == 0 {
		return wordFor("nothing to delete", err)
	}
	_, err = at.DeleteInstance(ctx, rows.Items[0].ID, 0)
	return wordFor("deleted", err)
}

// checkNames complains of a name that two machines have now.
func (w *World) checkNames(c *tally) {
	has := map[string]fleet.InstanceID{}
	for _, h := range w.Hosts {
		for _, m := range h.Hypervisor.Machines() {
			other, there := has[m.Mark.Name]
			if there && other != m.ID {
				c.complain("%s and %s are called %s", other, m.ID, m.Mark.Name)
			}
			has[m.Mark.Name] = m.ID
		}
	}
}

// hadAgain deletes what has a name and creates another instance of it.
func (w *World) hadAgain(name string) error {
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	at := w.Registries[0].Client
	rows, err := at.AllInstances(ctx, fleet.InstanceQuery{Name: name})
	if err != nil {
		return err
	}
	for i := range rows.Items {
		if _, err := at.DeleteInstance(ctx, rows.Items[i].ID, 30*time.Second); err != nil {
			return err
		}
	}
	_, err = at.CreateInstance(ctx, fleet.Create{Name: name, Flavor: "nano", Image: "tiny", UniqueName: true}, client.CreateOptions{Wait: 30 * time.Second})
	return err
}
