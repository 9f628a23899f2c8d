package drivertest

import (
	"context"
	"errors"
	"slices"
	"time"

	"grapevine/drivers"
	"grapevine/fleet"
)

func cancelReturns(k *kit) {
	id := k.build("cancelled")
	spec := k.spec("never")
	ctx, cancel := context.WithCancel(k.Context())
	cancel()
	for what, call := range map[string]func() error{
		"describe": func() error { _, err := k.d.Describe(ctx); return err },
		"list":     func() error { _, err := k.d.List(ctx); return err },
		"inspect":  func() error { _, err := k.d.Inspect(ctx, id); return err },
		"build":    func() error { return k.d.Build(ctx, spec) },
		"act":      func() error { return k.d.Act(ctx, id, fleet.Start, drivers.ActOptions{}) },
		"disown":   func() error { return k.d.Disown(ctx, id) },
		"adopt":    func() error { return k.d.Adopt(ctx, id, drivers.Mark{ID: id}) },
		"delete":   func() error { return k.d.Delete(ctx, id) },
		"watch":    func() error { return k.d.Watch(ctx, func(drivers.Event) {}) },
		"images":   func() error { _, err := k.images().Images(ctx); return err },
	} {
		began := time.Now()
		if err := call(); !errors.Is(err, context.Canceled) {
			k.Errorf("%s: got %v, want context.Canceled", what, err)
		}
		if took := time.Since(began); took > 2*time.Second {
			k.Errorf("%s took %s to notice", what, took)
		}
	}
	k.wantPower(id, fleet.PowerStopped)
}

func cutHeals(k *kit) {
	id := k.build("goes on")
	k.act(id, fleet.Start)
	w := k.watch(k.d)
	k.h.Cut(k)
	restored := false
	restore := func() {
		if !restored {
			restored = true
			k.h.Restore(k)
		}
	}
	defer restore()
	select {
	case err := <-w.ended:
		if !errors.Is(err, drivers.ErrUnavailable) {
			k.Errorf("Watch ended with %v, want ErrUnavailable", err)
		}
	case <-time.After(k.facts.Patience):
		k.Errorf("Watch did not end within %s of the cut", k.facts.Patience)
	}
	k.wantUnavailable(k.d, id)
	restore()
	k.wantHealed(k.d, id, fleet.PowerRunning)
	w = k.watch(k.d)
	w.after("stop", func() fleet.InstanceID { k.act(id, fleet.Stop); return id })
}

func openedWhileCut(k *kit) {
	id := k.build("was there before")
	k.h.Cut(k)
	d := k.open()
	k.wantUnavailable(d, id)
	k.h.Restore(k)
	k.wantHealed(d, id, fleet.PowerStopped)
	k.wantHealed(k.d, id, fleet.PowerStopped)
}

// wantUnavailable asks all that can be asked of a hypervisor that cannot be
// reached: it says so, and says nothing of any machine.
func (k *kit) wantUnavailable(d drivers.Driver, id fleet.InstanceID) {
	k.Helper()
	list, err := d.List(k.Context())
	if !errors.Is(err, drivers.ErrUnavailable) || len(list) != 0 {
		k.Errorf("list while cut: got %d machines and %v, want none and ErrUnavailable", len(list), err)
	}
	for what, call := range map[string]func() error{
		"describe": func() error { _, err := d.Describe(k.Context()); return err },
		"inspect":  func() error { _, err := d.Inspect(k.Context(), id); return err },
		"act":      func() error { return d.Act(k.Context(), id, fleet.Stop, drivers.ActOptions{}) },
		"delete":   func() error { return d.Delete(k.Context(), id) },
		"watch":    func() error { return d.Watch(k.Context(), func(drivers.Event) {}) },
	} {
		if err := call(); !errors.Is(err, drivers.ErrUnavailable) {
			k.Errorf("%s while cut: got %v, want ErrUnavailable", what, err)
		}
	}
}

func (k *kit) wantHealed(d drivers.Driver, id fleet.InstanceID, power fleet.Power) {
	k.Helper()
	k.eventually("the driver works again", func() bool {
		list, err := d.List(k.Context())
		if err != nil {
			if !errors.Is(err, drivers.ErrUnavailable) {
				k.Fatalf("list after the cut: got %v, want ErrUnavailable until it works", err)
			}
			return false
		}
		i := slices.IndexFunc(list, func(m drivers.Machine) bool { return m.ID == id })
		if i < 0 || list[i].Power != power {
			k.Fatalf("the first list after the cut does not have the machine %s", power)
		}
		return true
	})
}
