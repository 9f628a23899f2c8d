package drivertest

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"

	"grapevine/drivers"
	"grapevine/fleet"
)

// snapshotter is the driver with its snapshots.
func (k *kit) snapshotter() drivers.Snapshotter { return ability[drivers.Snapshotter](k) }

// withDisk makes a machine with a disk of its own, as a snapshot needs one, and
// returns its mark.
func (k *kit) withDisk(name string) drivers.Mark {
	k.Helper()
	spec := k.spec(name)
	spec.Resources.DiskGiB = max(spec.Resources.DiskGiB, 1)
	spec.Mark.DiskGiB = spec.Resources.DiskGiB
	spec.Guest = k.seeded() // a seed is no obstacle to a snapshot
	k.must(k.d.Build(k.Context(), spec))
	return spec.Mark
}

func (k *kit) take(id fleet.InstanceID, name string) {
	k.Helper()
	k.must(k.snapshotter().TakeSnapshot(k.Context(), id, name))
}

// wantSnapshots compares a machine's snapshots, as a new connection lists them,
// but for when they were taken.
func (k *kit) wantSnapshots(id fleet.InstanceID, want ...fleet.Snapshot) {
	k.Helper()
	k.d = k.open()
	got, err := k.snapshotter().Snapshots(k.Context(), id)
	k.must(err)
	if !slices.IsSortedFunc(got, func(a, b fleet.Snapshot) int { return a.CreatedAt.Compare(b.CreatedAt) }) {
		k.Errorf("the snapshots are not listed oldest first: %+v", got)
	}
	for i := range got {
		if got[i].CreatedAt.IsZero() {
			k.Errorf("snapshot %s has no date", got[i].Name)
		}
		if got[i].VCPUs == 0 || got[i].MemoryMiB == 0 || got[i].DiskGiB == 0 {
			k.Errorf("snapshot %s has the size %+v, want that of its machine", got[i].Name, got[i].Resources)
		}
		got[i].CreatedAt, got[i].Resources = time.Time{}, fleet.Resources{}
	}
	if len(got)+len(want) == 0 {
		return
	}
	byName := func(a, b fleet.Snapshot) int { return strings.Compare(a.Name, b.Name) }
	slices.SortFunc(got, byName)
	slices.SortFunc(want, byName)
	if diff := cmp.Diff(want, got); diff != "" {
		k.Errorf("snapshots (-want +got):\n%s", diff)
	}
}

func snapshotBringsBack(k *kit) {
	mark := k.withDisk("back")
	k.take(mark.ID, "clean")
	k.wantSnapshots(mark.ID, fleet.Snapshot{Name: "clean", Power: fleet.PowerStopped, Current: true})
	before, err := k.d.Inspect(k.Context(), mark.ID)
	k.must(err)
	k.act(mark.ID, fleet.Start)
	k.must(k.snapshotter().RevertSnapshot(k.Context(), mark.ID, "clean", mark))
	after, err := k.d.Inspect(k.Context(), mark.ID)
	k.must(err)
	if diff := cmp.Diff(before, after); diff != "" {
		k.Errorf("the machine after the revert (-before +after):\n%s", diff)
	}
	k.act(mark.ID, fleet.Start)
	k.wantPower(mark.ID, fleet.PowerRunning)
}

func snapshotWithMemory(k *kit) {
	mark := k.withDisk("memory")
	k.act(mark.ID, fleet.Start)
	k.take(mark.ID, "running")
	k.wantPower(mark.ID, fleet.PowerRunning)
	k.wantSnapshots(mark.ID, fleet.Snapshot{Name: "running", Power: fleet.PowerRunning, Current: true})
	for range 2 { // from another state, and from the same
		k.must(k.snapshotter().RevertSnapshot(k.Context(), mark.ID, "running", mark))
		k.wantPower(mark.ID, fleet.PowerRunning)
	}
	k.act(mark.ID, fleet.Stop)
	k.must(k.snapshotter().RevertSnapshot(k.Context(), mark.ID, "running", mark))
	k.wantPower(mark.ID, fleet.PowerRunning)
}

func snapshotOnce(k *kit) {
	mark := k.withDisk("once")
	for range 2 {
		k.take(mark.ID, "one")
	}
	k.wantSnapshots(mark.ID, fleet.Snapshot{Name: "one", Power: fleet.PowerStopped, Current: true})
	if err := k.snapshotter().RevertSnapshot(k.Context(), mark.ID, "two", mark); !errors.Is(err, drivers.ErrNotFound) {
		k.Errorf("revert to a snapshot that is not there: got %v, want ErrNotFound", err)
	}
	for range 2 {
		k.must(k.snapshotter().DeleteSnapshot(k.Context(), mark.ID, "one"))
	}
	k.wantSnapshots(mark.ID)
	nobody := newID()
	if _, err := k.snapshotter().Snapshots(k.Context(), nobody); !errors.Is(err, drivers.ErrNotFound) {
		k.Errorf("snapshots of no machine: got %v, want ErrNotFound", err)
	}
	if err := k.snapshotter().TakeSnapshot(k.Context(), nobody, "one"); !errors.Is(err, drivers.ErrNotFound) {
		k.Errorf("snapshot of no machine: got %v, want ErrNotFound", err)
	}
}

// snapshotTree takes b upon a, goes back to a, takes c upon it, and removes a
// from below both.
func snapshotTree(k *kit) {
	mark := k.withDisk("tree")
	stopped := func(name, parent string, current bool) fleet.Snapshot {
		return fleet.Snapshot{Name: name, Parent: parent, Power: fleet.PowerStopped, Current: current}
	}
	k.take(mark.ID, "a")
	k.take(mark.ID, "b")
	k.wantSnapshots(mark.ID, stopped("a", "", false), stopped("b", "a", true))
	k.must(k.snapshotter().RevertSnapshot(k.Context(), mark.ID, "a", mark))
	k.wantSnapshots(mark.ID, stopped("a", "", true), stopped("b", "a", false))
	k.take(mark.ID, "c")
	k.must(k.snapshotter().DeleteSnapshot(k.Context(), mark.ID, "a"))
	k.wantSnapshots(mark.ID, stopped("b", "", false), stopped("c", "", true))
	k.must(k.snapshotter().RevertSnapshot(k.Context(), mark.ID, "b", mark))
	k.must(k.snapshotter().DeleteSnapshot(k.Context(), mark.ID, "b")) // the one that it goes on from
	k.wantSnapshots(mark.ID, stopped("c", "", false))
	k.act(mark.ID, fleet.Start)
	k.wantPower(mark.ID, fleet.PowerRunning)
}

func revertKeepsMark(k *kit) {
	mark := k.withDisk("marked")
	k.take(mark.ID, "old")
	mark.Name, mark.Generation, mark.Labels = "another name", 7, map[string]string{"role": "web"}
	for range 2 { // one that was cut short is done again
		k.must(k.snapshotter().RevertSnapshot(k.Context(), mark.ID, "old", mark))
	}
	m, err := k.open().Inspect(k.Context(), mark.ID)
	k.must(err)
	if diff := cmp.Diff(&mark, m.Mark); diff != "" {
		k.Errorf("mark after the revert (-want +got):\n%s", diff)
	}
}

func foreignSnapshots(k *kit) {
	id := k.define("by-hand")
	list, err := k.snapshotter().Snapshots(k.Context(), id)
	k.must(err)
	if len(list) > 0 {
		k.Errorf("it has %+v, want none", list)
	}
	if err := k.snapshotter().TakeSnapshot(k.Context(), id, "mine"); !errors.Is(err, drivers.ErrForeign) {
		k.Errorf("take: got %v, want ErrForeign", err)
	}
	if err := k.snapshotter().DeleteSnapshot(k.Context(), id, "mine"); !errors.Is(err, drivers.ErrForeign) {
		k.Errorf("delete: got %v, want ErrForeign", err)
	}
}

func deleteRemovesSnapshots(k *kit) {
	spare := k.withDisk("spare") // so that the image is there before and after
	before := k.storage()
	mark := k.withDisk("doomed")
	k.take(mark.ID, "stopped")
	k.act(mark.ID, fleet.Start)
	k.take(mark.ID, "running")
	k.must(k.d.Delete(k.Context(), mark.ID))
	if diff := cmp.Diff(before, k.storage()); diff != "" {
		k.Errorf("storage after the delete (-before +after):\n%s", diff)
	}
	k.wantPower(spare.ID, fleet.PowerStopped)
}
