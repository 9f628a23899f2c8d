package proofs

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"grapevine/api/client"
	"grapevine/fleet"
)

// TestProof13AntiAffinityGroupNeverHasTwoOnAHost races 50 creates in an
// anti-affinity group of five hosts that fit, and then of all eight, through two
// registries, while agents die in the middle of it and come back: at no moment
// are two on one host, and each place is taken in the end.
func TestProof13AntiAffinityGroupNeverHasTwoOnAHost(t *testing.T) {
	const hosts, creates = 8, 50
	synctest.Test(t, func(t *testing.T) {
		w := NewWorld(t, 13, hosts, 2, fleet.Resources{VCPUs: 64, MemoryMiB: 64 << 10, DiskGiB: 1000})
		for _, h := range w.Hosts[5:] { // five places at first
			if _, err := w.Registries[0].Client.ActHost(t.Context(), h.ID, fleet.Cordon); err != nil {
				t.Fatal(err)
			}
		}
		group := w.group("apart", fleet.AntiAffinity)
		apart := func() error {
			for host, n := range w.membersAt(group.ID) {
				if n > 1 {
					return fmt.Errorf("%s has %d of the group", host, n)
				}
			}
			return nil
		}
		w.race("apart", 0, creates, apart, w.Hosts[1], w.Hosts[3])
		w.filled("apart", group, 5, apart)

		for _, h := range w.Hosts[5:] {
			if _, err := w.Registries[1].Client.ActHost(t.Context(), h.ID, fleet.Uncordon); err != nil {
				t.Fatal(err)
			}
		}
		w.race("apart", creates, creates, apart, w.Hosts[5], w.Hosts[0])
		w.filled("apart", group, hosts, apart)
		for _, h := range w.Hosts {
			h.Kill()
			h.Start()
		}
		w.filled("apart", group, hosts, apart)
	})
}

// TestProof13AffinityGroupIsAlwaysOnOneHost races creates in a strict affinity
// group and kills agents; then its members are deleted and its host is closed,
// so that the next race moves it: at no moment are its members on two hosts.
func TestProof13AffinityGroupIsAlwaysOnOneHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := NewWorld(t, 14, 6, 2, fleet.Resources{VCPUs: 10, MemoryMiB: 10 * 128, DiskGiB: 1000})
		group := w.group("one", fleet.Affinity)
		together := func() error {
			if at := w.membersAt(group.ID); len(at) > 1 {
				return fmt.Errorf("the group is on %v", at)
			}
			return nil
		}
		w.race("one", 0, 40, together, w.Hosts[2], w.Hosts[4])
		w.filled("one", group, 10, together)
		var at *Host
		for _, h := range w.Hosts {
			if w.membersAt(group.ID)[h.Name] > 0 {
				at = h
			}
		}
		list, err := w.Registries[0].Client.Group(t.Context(), fleet.ObjectRef{IDOrName: "one"})
		if err != nil || len(list.Members) != 10 || list.Members[0].HostName != at.Name {
			t.Fatalf("the group is shown as %+v, %v", list, err)
		}
		w.Await(10*time.Minute, "the members are deleted", func() error {
			for _, m := range list.Members {
				if _, err := w.Registries[1].Client.DeleteInstance(t.Context(), m.Instance, time.Minute); err != nil && fleet.CodeOf(err) != fleet.CodeNotFound {
					return err
				}
			}
			if left := w.membersAt(group.ID); len(left) > 0 {
				return fmt.Errorf("there are still %v", left)
			}
			return nil
		})
		if _, err := w.Registries[0].Client.ActHost(t.Context(), at.ID, fleet.Cordon); err != nil {
			t.Fatal(err)
		}
		w.race("one", 40, 40, together, w.Hosts[1])
		w.filled("one", group, 10, together)
		if now := w.membersAt(group.ID); now[at.Name] > 0 {
			t.Errorf("the group is on %v, of which %s is cordoned", now, at.Name)
		}
	})
}

// TestProof13AnchorThatShowsThatItTakesNothingIsAsked empties a strict affinity
// group and closes its host, and then asks for a place on one named host: the
// registries know by the rows that the anchor will refuse, and yet only its
// refusal lets the group move.
func TestProof13AnchorThatShowsThatItTakesNothingIsAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := NewWorld(t, 15, 3, 2, fleet.Resources{VCPUs: 10, MemoryMiB: 10 * 128, DiskGiB: 1000})
		w.group("one", fleet.Affinity)
		c := w.Registries[0].Client
		onHost := func(name, host string) (fleet.Accepted, error) {
			return c.CreateInstance(t.Context(), fleet.Create{Name: name, Flavor: "nano", Image: "tiny", Group: "one", Host: host}, client.CreateOptions{Key: name})
		}
		empty := func(a fleet.Accepted) {
			w.Await(time.Minute, "the member is deleted", func() error {
				if _, err := c.DeleteInstance(t.Context(), a.Instance.ID, time.Minute); fleet.CodeOf(err) != fleet.CodeNotFound {
					return fmt.Errorf("deleting says %w", err)
				}
				if now, err := c.Group(t.Context(), fleet.ObjectRef{IDOrName: "one"}); err != nil || len(now.Members) > 0 {
					return fmt.Errorf("the group is shown as %+v, %w", now, err)
				}
				return nil
			})
		}
		first, err := onHost("first", w.Hosts[0].Name)
		if err != nil {
			t.Fatal(err)
		}
		empty(first)
		second, err := onHost("second", w.Hosts[1].Name)
		if err != nil {
			t.Fatalf("an empty group does not follow an operator's wish: %v", err)
		}
		empty(second)
		if _, err := c.ActHost(t.Context(), w.Hosts[1].ID, fleet.Cordon); err != nil {
			t.Fatal(err)
		}
		w.Await(time.Minute, "the registries show the host cordoned", func() error {
			for _, r := range w.Registries {
				if h, err := r.Client.Host(t.Context(), w.Hosts[1].ID); err != nil || h.State != fleet.HostCordoned {
					return fmt.Errorf("%+v, %w", h, err)
				}
			}
			return nil
		})
		third, err := onHost("third", "")
		if err != nil || third.Instance.Host == w.Hosts[1].ID {
			t.Fatalf("the group did not move: %+v, %v", third, err)
		}
	})
}

// membersAt counts the machines of a group on each hypervisor, by host name.
func (w *World) membersAt(group fleet.GroupID) map[string]int {
	out := map[string]int{}
	for _, h := range w.Hosts {
		for _, m := range h.Hypervisor.Machines() {
			if m.Mark != nil && m.Mark.Group.ID == group {
				out[h.Name]++
			}
		}
	}
	return out
}

// race sends creates at once, half of them to each registry, kills these hosts
// in the middle of it, and looks at every moment whether the rule holds.
func (w *World) race(group string, first, creates int, holds func() error, kill ...*Host) {
	w.t.Helper()
	var all sync.WaitGroup
	for n := first; n < first+creates; n++ {
		all.Go(func() { _ = w.createIn(group, n) })
	}
	for _, h := range kill {
		time.Sleep(3 * time.Millisecond)
		h.Kill()
		h.Start()
	}
	over := make(chan struct{})
	go func() { all.Wait(); close(over) }()
	for {
		if err := holds(); err != nil {
			w.t.Fatal(err)
		}
		select {
		case <-over:
			return
		case <-time.After(time.Millisecond):
		}
	}
}

// createIn creates an instance in a group, under a key of its own.
func (w *World) createIn(group string, n int) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	at := w.Registries[n%len(w.Registries)].Client
	name := fmt.Sprintf("%s-%d", group, n)
	_, err := at.CreateInstance(ctx, fleet.Create{Name: name, Flavor: "nano", Image: "tiny", Group: group}, client.CreateOptions{Key: name})
	return err
}

// filled goes on asking until so many places are taken, and then that one more
// is refused; the rule holds all the while.
func (w *World) filled(name string, group fleet.Group, places int, holds func() error) {
	w.t.Helper()
	next := 1000
	w.Await(10*time.Minute, fmt.Sprintf("%d places are taken", places), func() error {
		if err := holds(); err != nil {
			w.t.Fatal(err)
		}
		taken := 0
		for _, n := range w.membersAt(group.ID) {
			taken += n
		}
		if taken == places {
			return nil
		}
		next++
		return fmt.Errorf("%d are: %w", taken, w.createIn(name, next))
	})
	w.Await(time.Minute, "one more is refused", func() error {
		if err := w.createIn(name, 999); fleet.CodeOf(err) != fleet.CodeRefused {
			return fmt.Errorf("the answer is no refusal: %w", err)
		}
		return nil
	})
	if err := holds(); err != nil {
		w.t.Error(err)
	}
}
