package drivertest

import (
	"slices"
	"strings"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"grapevine/drivers"
	"grapevine/fleet"
)

// Cases about what machines live through.

func inspectAgreesWithList(k *kit) {
	id := k.build("in each power")
	k.wantListed(id)
	for _, action := range []fleet.InstanceAction{fleet.Start, fleet.Reboot, fleet.Stop} {
		k.act(id, action)
		k.wantListed(id)
	}
	k.wantListed(k.define("foreign too"))
}

func adoptAgain(k *kit) {
	id := k.define("adopted twice")
	k.h.PowerOn(k, id)
	for generation := uint64(1); generation <= 2; generation++ {
		mark := drivers.Mark{
			ID: id, Name: strings.Repeat("n", int(generation)), Project: "p", Generation: generation,
			Labels: map[string]string{"n": strings.Repeat("x", int(generation))},
		}
		k.must(k.d.Adopt(k.Context(), id, mark))
		k.d = k.open()
		m, err := k.d.Inspect(k.Context(), id)
		k.must(err)
		if diff := cmp.Diff(&mark, m.Mark); diff != "" {
			k.Errorf("mark (-want +got):\n%s", diff)
		}
		k.wantPower(id, fleet.PowerRunning)
	}
}

// adoptedLives: an adopted machine is acted on and deleted like any managed
// one.
func adoptedLives(k *kit) {
	id := k.define("adopted")
	k.must(k.d.Adopt(k.Context(), id, drivers.Mark{ID: id, Name: "mine", Project: "p"}))
	k.act(id, fleet.Start)
	k.wantPower(id, fleet.PowerRunning)
	k.act(id, fleet.Stop)
	k.wantPower(id, fleet.PowerStopped)
	k.act(id, fleet.Start)
	for range 2 {
		k.must(k.d.Delete(k.Context(), id))
	}
	if n := k.count(id); n != 0 {
		k.Errorf("%d machines after delete", n)
	}
}

// removedBehind: what is left of a machine that was removed by hand is in
// nobody's way.
func removedBehind(k *kit) {
	spec := k.spec("removed by hand")
	before := k.storage()
	k.must(k.d.Build(k.Context(), spec))
	whole := k.storage()
	k.h.Remove(k, spec.Mark.ID)
	k.must(k.d.Delete(k.Context(), spec.Mark.ID))
	if diff := cmp.Diff(before, k.storage()); diff != "" {
		k.Errorf("delete of what is gone left something:\n%s", diff)
	}
	k.must(k.d.Build(k.Context(), spec))
	k.h.Remove(k, spec.Mark.ID)
	spec.Resources.VCPUs++
	k.must(k.d.Build(k.Context(), spec))
	if diff := cmp.Diff(whole, k.storage()); diff != "" {
		k.Errorf("built anew, it has something else:\n%s", diff)
	}
	m, err := k.d.Inspect(k.Context(), spec.Mark.ID)
	k.must(err)
	if m.Resources.VCPUs != spec.Resources.VCPUs {
		k.Errorf("built anew, it has %d vCPUs, want %d", m.Resources.VCPUs, spec.Resources.VCPUs)
	}
	k.act(spec.Mark.ID, fleet.Start)
	k.wantPower(spec.Mark.ID, fleet.PowerRunning)
}

func oddSizes(k *kit) {
	for _, more := range []fleet.Resources{{}, {VCPUs: 3, MemoryMiB: 4, DiskGiB: 1}, {VCPUs: 7, MemoryMiB: 1024, DiskGiB: 37}} {
		spec := k.spec("sized")
		spec.Resources.VCPUs += more.VCPUs
		spec.Resources.MemoryMiB += more.MemoryMiB
		spec.Resources.DiskGiB += more.DiskGiB
		spec.Mark.DiskGiB = spec.Resources.DiskGiB
		k.must(k.d.Build(k.Context(), spec))
		want := spec.Resources
		want.DiskGiB = spec.DiskGiB()
		k.wantSize(spec.Mark.ID, want, spec.Mark)
		k.must(k.d.Delete(k.Context(), spec.Mark.ID))
	}
}

// nothingIsForgottenOverACut: machines, marks, images and snapshots are the
// hypervisor's and not the connection's.
func nothingIsForgottenOverACut(k *kit) {
	mark := k.withDisk("remembered")
	if k.declares(drivers.FeatureSnapshot) {
		k.take(mark.ID, "before the cut")
	}
	k.act(mark.ID, fleet.Start)
	before := k.memory(mark.ID)
	k.h.Cut(k)
	k.h.Restore(k)
	k.wantHealed(k.d, mark.ID, fleet.PowerRunning)
	if diff := cmp.Diff(before, k.memory(mark.ID)); diff != "" {
		k.Errorf("after the cut (-before +after):\n%s", diff)
	}
}

// remembered is what a driver knows of a machine.
type remembered struct {
	Machine   drivers.Machine
	Snapshots []fleet.Snapshot
	Images    []fleet.Image
}

func (k *kit) memory(id fleet.InstanceID) (r remembered) {
	k.Helper()
	var err error
	r.Machine, err = k.d.Inspect(k.Context(), id)
	k.must(err)
	r.Machine.Addresses = nil // a guest's own doing
	r.Images, err = k.images().Images(k.Context())
	k.must(err)
	if k.declares(drivers.FeatureSnapshot) {
		r.Snapshots, err = k.snapshotter().Snapshots(k.Context(), id)
		k.must(err)
	}
	return r
}

func (k *kit) declares(f drivers.Feature) bool {
	k.Helper()
	desc, err := k.d.Describe(k.Context())
	k.must(err)
	return slices.Contains(desc.Features, f)
}

func snapshotNamesAreOdd(k *kit) {
	mark := k.withDisk("odd pasts")
	for _, name := range []string{"näme with spaces", "日本語 🍇", `"double" 'single'`, "<mark a='b'>&amp;", "$HOME %s ; | *", "-rf", strings.Repeat("n", fleet.MaxNameBytes)} {
		k.take(mark.ID, name)
		k.wantSnapshots(mark.ID, fleet.Snapshot{Name: name, Power: fleet.PowerStopped, Current: true})
		k.must(k.snapshotter().RevertSnapshot(k.Context(), mark.ID, name, mark))
		k.must(k.snapshotter().DeleteSnapshot(k.Context(), mark.ID, name))
	}
	k.wantSnapshots(mark.ID)
}

// revertBringsTheSizeBack: a snapshot holds how many processors and how much
// memory a machine had.
func revertBringsTheSizeBack(k *kit) {
	if !k.declares(drivers.FeatureResize) {
		k.Skip("the driver does not declare the feature resize")
	}
	mark := k.withDisk("sized then")
	m, err := k.d.Inspect(k.Context(), mark.ID)
	k.must(err)
	k.take(mark.ID, "small")
	list, err := k.snapshotter().Snapshots(k.Context(), mark.ID)
	k.must(err)
	if len(list) != 1 || list[0].Resources != m.Resources {
		k.Errorf("the snapshots are %+v, want one of the size %+v", list, m.Resources)
	}
	larger := m.Resources
	larger.VCPUs, larger.MemoryMiB = larger.VCPUs+1, larger.MemoryMiB+64
	k.must(k.resize(mark.ID, larger, mark))
	k.wantSize(mark.ID, larger, mark)
	if list, err = k.snapshotter().Snapshots(k.Context(), mark.ID); err != nil || len(list) != 1 || list[0].Resources != m.Resources {
		k.Errorf("after the resize the snapshots are %+v and %v, want one of the size %+v", list, err, m.Resources)
	}
	k.must(k.snapshotter().RevertSnapshot(k.Context(), mark.ID, "small", mark))
	k.wantSize(mark.ID, m.Resources, mark)
}

// guestsOwnDoing is what a guest changes by itself.
var guestsOwnDoing = cmpopts.IgnoreFields(drivers.Machine{}, "Addresses")
