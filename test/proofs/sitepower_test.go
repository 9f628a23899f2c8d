package proofs

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"grapevine/fleet"
)

// TestProof19HostsThatStayDownAfterASitePowerCutAreNotForgotten takes the power
// of a whole fleet. Those that come back, at other addresses and in any order,
// know of those that do not, and say so.
func TestProof19HostsThatStayDownAfterASitePowerCutAreNotForgotten(t *testing.T) {
	const hosts, lost = 6, 2
	synctest.Test(t, func(t *testing.T) {
		w := NewWorld(t, 19, hosts, 1, fleet.Resources{VCPUs: 8, MemoryMiB: 4096, DiskGiB: 100})
		if n, refused := w.createAtOnce(3 * hosts); n != 3*hosts {
			t.Fatalf("%d created, %v", n, refused)
		}
		o := newOracle()
		w.Await(time.Minute, "all is told", func() error { return w.toldBy(hosts, o) })
		time.Sleep(10 * time.Minute) // until it is saved

		for _, r := range w.Registries {
			r.Kill()
		}
		for _, h := range w.Hosts {
			h.Kill()
		}
		w.roster.forget()
		for n, i := range w.rng.Perm(hosts) {
			if h := w.Hosts[i]; i >= lost {
				h.place.name = fmt.Sprintf("10.2.0.%d", n+1)
				h.Start()
			}
		}
		w.Registries[0].Start()
		w.Await(5*time.Minute, "the lost hosts are listed as unreachable, with all that ran there", func() error { return w.lostAre(lost, 3*hosts) })
		w.Await(time.Minute, "the coverage tells of them", func() error { return w.covers(hosts-lost, hosts) })

		for _, h := range w.Hosts[:lost] {
			h.Start()
		}
		w.Await(5*time.Minute, "all is as it was", func() error { return errors.Join(w.heard(), w.toldBy(hosts, o), w.covers(hosts, hosts)) })
	})
}

// covers says which registry does not say that it hears so many of so many
// hosts.
func (w *World) covers(heard, known int) error {
	for _, r := range w.Registries {
		ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
		list, err := r.Client.Hosts(ctx)
		cancel()
		if want := (fleet.Coverage{Heard: heard, Known: known}); err != nil || list.Coverage != want {
			return fmt.Errorf("%s says %+v, %w", r.Name, list.Coverage, err)
		}
	}
	return nil
}
