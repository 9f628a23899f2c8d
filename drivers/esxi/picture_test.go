package esxi_test

import (
	"errors"
	"slices"
	"testing"

	"grapevine/drivers"
	"grapevine/drivers/esxi"
	"grapevine/fleet"
)

// wantPower holds the list to a machine's power; unknown means that it is not
// there.
func wantPower(t *testing.T, d *esxi.Driver, id fleet.InstanceID, want fleet.Power) {
	t.Helper()
	list, err := d.List(t.Context())
	check(t, err)
	got := fleet.PowerUnknown
	if i := slices.IndexFunc(list, func(m drivers.Machine) bool { return m.ID == id }); i >= 0 {
		got = list[i].Power
	}
	if got != want {
		t.Errorf("listed as %s, want %s", got, want)
	}
}

// The list says what the host says now, whatever was changed since the last
// one and wherever the login ends meanwhile.
func TestListIsFreshThroughLostLogins(t *testing.T) {
	h := newHarness(t)
	d := open(t, h.config())
	id := h.Define(t, "changes")
	wantPower(t, d, id, fleet.PowerStopped)
	for n := range 7 {
		h.host.ExpireAt(n) // never, and then from the first request on
		h.PowerOn(t, id)
		wantPower(t, d, id, fleet.PowerRunning)
		h.host.ExpireAt(n)
		h.PowerOff(t, id)
		wantPower(t, d, id, fleet.PowerStopped)
	}
	h.Remove(t, id)
	wantPower(t, d, id, fleet.PowerUnknown)
}

// A host where nothing happens is asked one question a list, and what a list
// returns is the caller's.
func TestQuietHostIsAskedOneQuestion(t *testing.T) {
	h := newHarness(t)
	d := open(t, h.config())
	id := built(t, h, d)
	first, err := d.List(t.Context())
	check(t, err)
	i := slices.IndexFunc(first, func(m drivers.Machine) bool { return m.ID == id })
	first[i].Mark.Name = "scribbled over"
	h.host.CountRequests()
	second, err := d.List(t.Context())
	check(t, err)
	if n := h.host.Requests(); n != 1 {
		t.Errorf("%d requests, want 1", n)
	}
	if name := second[i].Mark.Name; name != "web" {
		t.Errorf("the next list names it %q", name)
	}
	h.host.LoseAnswer(1)
	if _, err := d.List(t.Context()); !errors.Is(err, drivers.ErrUnavailable) {
		t.Errorf("with the answer lost: got %v, want ErrUnavailable", err)
	}
	h.PowerOff(t, id)
	wantPower(t, d, id, fleet.PowerStopped)
}
