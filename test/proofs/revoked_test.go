package proofs

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"grapevine/api/client"
	"grapevine/fleet"
	"grapevine/identity"
)

// TestRevokedHostIsHeardByNobodyUntilItIsEnrolledAgain revokes a host that goes on
// as if nothing were. Within a minute nobody takes anything from it, its rows stay
// as they were, also at those who begin anew, and the others go on. A certificate
// of a later enrolment lets it in again, and the old one never does.
func TestRevokedHostIsHeardByNobodyUntilItIsEnrolledAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := NewWorld(t, 91, 5, 2, fleet.Resources{VCPUs: 8, MemoryMiB: 4096, DiskGiB: 100})
		o := newOracle()
		if n, refused := w.createAtOnce(10); n != 10 {
			t.Fatalf("%d created, %v", n, refused)
		}
		w.Await(time.Minute, "all is told", func() error { return w.toldBy(5, o) })
		thief := w.Hosts[4]
		stolen := thief.own

		done, err := w.Registries[0].Client.DecideHost(t.Context(), thief.ID, fleet.RevokeHost, fleet.Decide{Reason: "stolen"})
		if err != nil || len(done.Holders) < 3 {
			t.Fatalf("held by %d: %v", len(done.Holders), err)
		}
		gone := func() error { return w.shownTo(w.Registries, thief, fleet.ReachUnreachable) }
		w.Await(time.Minute, "it counts as gone", gone)
		time.Sleep(time.Minute) // what it said to those who had not heard yet has gone around
		before, err := w.shownHost(thief)
		if err != nil {
			t.Fatal(err)
		}
		// It speaks on: a cordon is a change of its row, and a new life a new epoch.
		if _, err := thief.Client.ActHost(t.Context(), thief.ID, fleet.Cordon); err == nil {
			t.Log("its own agent takes an operator's word still")
		}
		thief.Kill()
		thief.Start()
		time.Sleep(2 * time.Minute)
		if err := gone(); err != nil {
			t.Error(err)
		}
		after, err := w.shownHost(thief)
		if err != nil || after.Version != before.Version || after.State != before.State {
			t.Errorf("what it said since was taken: %v then %v, %v", before.Version, after.Version, err)
		}
		// Who begins anew has its rows from the others.
		w.Registries[1].Kill()
		w.Registries[1].Start()
		w.Await(time.Minute, "a new registry has its rows, and takes it for gone", gone)
		// The others go on.
		w.Await(time.Minute, "a host says something", func() error {
			_, err := w.Registries[0].Client.ActHost(t.Context(), w.Hosts[0].ID, fleet.Cordon)
			return err
		})
		w.Await(time.Minute, "and is heard", func() error {
			row, err := w.shownHost(w.Hosts[0])
			if err == nil && row.State != fleet.HostCordoned {
				err = fmt.Errorf("it is %s", row.State)
			}
			return err
		})

		thief.Kill()
		thief.own = w.issue(identity.Agent, thief.ID, thief.Name)
		thief.Start()
		w.Await(5*time.Minute, "it is in again", func() error {
			return errors.Join(w.shownTo(w.Registries, thief, fleet.ReachOK), w.toldBy(5, o))
		})
		old := w.clientOf(stolen, w.Hosts[1])
		defer old.Close()
		if _, err := old.Hosts(t.Context()); err == nil {
			t.Error("the old certificate is taken, as its host is in again")
		}
	})
}

// clientOf returns one that shows a host's certificate to another.
func (w *World) clientOf(own *identity.Identity, at *Host) *client.Client {
	w.t.Helper()
	c, err := client.New("https://"+at.place.name+":7947", client.Options{TLS: own.ClientTLS(at.ID, "http/1.1"), Dialer: &place{net: w.net, name: "10.9.9.8"}})
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// shownTo says which registry shows a host otherwise.
func (w *World) shownTo(registries []*Registry, h *Host, want fleet.Reachability) error {
	for _, r := range registries {
		row, err := r.Client.Host(w.t.Context(), h.ID)
		if err != nil {
			return fmt.Errorf("%s: %w", r.Name, err)
		}
		if row.Reachability != want {
			return fmt.Errorf("%s shows it as %s", r.Name, row.Reachability)
		}
	}
	return nil
}
