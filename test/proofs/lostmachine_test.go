package proofs

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"grapevine/api/client"
	"grapevine/fleet"
)

// keyed creates an instance under a key and waits until it runs.
func (w *World) keyed(key string) fleet.Instance {
	w.t.Helper()
	var made fleet.Accepted
	w.Await(5*time.Minute, "the create with "+key+" is accepted", func() (err error) {
		ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
		defer cancel()
		made, err = w.Registries[0].Client.CreateInstance(ctx, fleet.Create{Name: key, Flavor: "nano", Image: "tiny"}, client.CreateOptions{Key: key, Wait: 30 * time.Second})
		return err
	})
	return made.Instance
}

// hostOf returns the host with this id.
func (w *World) hostOf(id fleet.HostID) *Host {
	w.t.Helper()
	for _, h := range w.Hosts {
		if h.ID == id {
			return h
		}
	}
	w.t.Fatalf("no host %s", id)
	return nil
}

// row returns an instance as the first registry shows it.
func (w *World) row(id fleet.InstanceID) (fleet.Instance, error) {
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	return w.Registries[0].Client.Instance(ctx, id)
}

// keptElsewhere creates an instance whose key is not at home at its own host:
// that could be used again only once the host is forgotten.
func (w *World) keptElsewhere() (key string, made fleet.Instance) {
	w.t.Helper()
	ids := make([]fleet.HostID, len(w.Hosts))
	for i, h := range w.Hosts {
		ids[i] = h.ID
	}
	for n := 0; ; n++ {
		key = fmt.Sprint("web-", n)
		made = w.keyed(key)
		if home, _ := fleet.HomeOf(made.ID, ids); home != made.Host {
			return key, made
		}
	}
}

// TestProof06MachineOfADeadHostIsMadeElsewhereAndTheOldOneUntouched loses a
// host, declares it dead, makes its machine anew elsewhere by the same request,
// and brings the host back.
func TestProof06MachineOfADeadHostIsMadeElsewhereAndTheOldOneUntouched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := NewWorld(t, 6, 5, 2, fleet.Resources{VCPUs: 8, MemoryMiB: 4096, DiskGiB: 100})
		key, first := w.keptElsewhere()
		lost := w.hostOf(first.Host)
		lost.Kill()
		w.Await(time.Minute, "the host is unreachable", func() error {
			row, err := w.row(first.ID)
			if err == nil && row.Reachability != fleet.ReachUnreachable {
				err = fmt.Errorf("it is %s", row.Reachability)
			}
			return err
		})
		if _, err := w.Registries[0].Client.DecideHost(t.Context(), lost.ID, fleet.DeclareDead, fleet.Decide{Reason: "it burnt"}); err != nil {
			t.Fatal(err)
		}
		again := w.keyed(key)
		if again.ID != first.ID || again.Host == first.Host {
			t.Fatalf("the same request made %s on %s, and before %s on %s", again.ID, again.HostName, first.ID, first.HostName)
		}
		now := w.hostOf(again.Host)
		time.Sleep(20 * time.Minute)

		lost.Start()
		w.Await(5*time.Minute, "the copy of the host that is back is superseded", func() error {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			rows, err := w.Registries[0].Client.AllInstances(ctx, fleet.InstanceQuery{Host: lost.Name})
			if err == nil && (len(rows.Items) != 1 || rows.Items[0].SupersededBy != now.ID) {
				err = fmt.Errorf("it shows %+v", rows.Items)
			}
			return err
		})
		time.Sleep(10 * time.Minute) // nobody acts on it later either
		for _, h := range []*Host{lost, now} {
			if m := h.machine(first.ID); m == nil || m.Power != fleet.PowerRunning {
				t.Errorf("%s has %+v, want the machine running as it was", h.Name, m)
			}
		}
		if row, err := w.row(first.ID); err != nil || row.Host != now.ID {
			t.Errorf("the instance is shown on %s, %v; want it on %s", row.HostName, err, now.Name)
		}
	})
}

// TestProof11DeleteDuringACutLeavesNoZombie intends a delete while the host is
// cut off, and goes on; its agent lives through the cut in one epoch.
func TestProof11DeleteDuringACutLeavesNoZombie(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := NewWorld(t, 11, 5, 2, fleet.Resources{VCPUs: 8, MemoryMiB: 4096, DiskGiB: 100})
		meant := w.keyed("meant")
		host := w.hostOf(meant.Host)
		var others []string
		for _, name := range w.addresses() {
			if name != host.place.name {
				others = append(others, name)
			}
		}
		w.Cut([]string{host.place.name}, others)
		w.Await(5*time.Minute, "the delete is intended", func() error {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			_, err := w.Registries[0].Client.IntendDelete(ctx, meant.ID, fleet.Decide{Reason: "not needed"})
			return err
		})
		if m := host.machine(meant.ID); m == nil || m.Power != fleet.PowerRunning {
			t.Fatalf("during the cut the host has %+v", m)
		}
		w.Mend()
		gone := func() error {
			if m := host.machine(meant.ID); m != nil {
				return fmt.Errorf("%s has it, %s", host.Name, m.Power)
			}
			if row, err := w.row(meant.ID); !errors.Is(err, &fleet.Error{Code: fleet.CodeNotFound}) {
				return fmt.Errorf("it is shown: %+v, %w", row, err)
			}
			return nil
		}
		w.Await(5*time.Minute, "the machine is gone", gone)
		host.Kill()
		host.Start()
		w.Await(5*time.Minute, "all hear all", w.heard)
		time.Sleep(10 * time.Minute)
		if err := gone(); err != nil {
			t.Errorf("later: %v", err)
		}
	})
}

// TestProof07HostOfAnotherNameAtAnotherAddressIsTheSame renames and moves a
// host while it is down.
func TestProof07HostOfAnotherNameAtAnotherAddressIsTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := NewWorld(t, 7, 4, 1, fleet.Resources{VCPUs: 8, MemoryMiB: 4096, DiskGiB: 100})
		made := w.keyed("web")
		host := w.hostOf(made.Host)
		host.Kill()
		host.Name, host.place.name = "renamed", "10.3.0.1"
		host.Start()
		w.Await(5*time.Minute, "the host is back under its new name, and with its instance", func() error {
			if err := w.heard(); err != nil {
				return err
			}
			row, err := w.row(made.ID)
			if err == nil && (row.Host != made.Host || row.HostName != "renamed" || row.Power != fleet.PowerRunning) {
				err = fmt.Errorf("it shows %+v", row)
			}
			return err
		})
		if again := w.keyed("web"); again.ID != made.ID || again.Host != made.Host {
			t.Errorf("the same request is answered with %s on %s", again.ID, again.HostName)
		}
	})
}
