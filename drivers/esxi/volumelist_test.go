package esxi_test

import (
	"slices"
	"testing"

	"grapevine/drivers"
	"grapevine/fleet"
)

// What is left on the datastore of a machine that the host does not know any more
// is told, and what lies beside it that is named after no machine is not.
func TestVolumesOfMachinesThatAreGoneAreTold(t *testing.T) {
	h := newHarness(t)
	d := open(t, h.config())
	if got, err := d.Volumes(t.Context()); err != nil || len(got) != 0 {
		t.Fatalf("before the first machine: got %v, %v; want none", got, err)
	}
	lost := built(t, h, d)
	check(t, d.Act(t.Context(), lost, fleet.Stop, drivers.ActOptions{}))
	check(t, h.host.Unregister(lost))
	check(t, h.host.Append("grapevine/machines/notes.txt", "of somebody"))
	list, err := d.List(t.Context())
	check(t, err)
	if slices.ContainsFunc(list, func(m drivers.Machine) bool { return m.ID == lost }) {
		t.Fatal("the host still has the machine")
	}
	want := []drivers.Volume{{Machine: lost, Name: "[LocalDS_0] grapevine/machines/" + lost.String()}}
	if got, err := d.Volumes(t.Context()); err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v; want %v", got, err, want)
	}
	check(t, d.Delete(t.Context(), lost))
	if got, err := d.Volumes(t.Context()); err != nil || len(got) != 0 {
		t.Errorf("after a delete: got %v, %v; want none", got, err)
	}
}
