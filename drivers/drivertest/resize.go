package drivertest

import (
	"errors"

	"github.com/google/go-cmp/cmp"

	"grapevine/drivers"
	"grapevine/fleet"
)

func (k *kit) resize(id fleet.InstanceID, size fleet.Resources, mark drivers.Mark) error {
	k.Helper()
	return ability[drivers.Resizer](k).Resize(k.Context(), id, size, mark)
}

// wantSize compares size and mark, as a new connection sees them.
func (k *kit) wantSize(id fleet.InstanceID, size fleet.Resources, mark drivers.Mark) {
	k.Helper()
	k.d = k.open()
	m, err := k.d.Inspect(k.Context(), id)
	k.must(err)
	if m.Resources != size {
		k.Errorf("its size is %+v, want %+v", m.Resources, size)
	}
	if diff := cmp.Diff(&mark, m.Mark); diff != "" {
		k.Errorf("mark (-want +got):\n%s", diff)
	}
}

func resizeChangesSize(k *kit) {
	mark := k.withDisk("size")
	m, err := k.d.Inspect(k.Context(), mark.ID)
	k.must(err)
	grown, lean := m.Resources, m.Resources
	grown.VCPUs, grown.MemoryMiB, grown.DiskGiB = grown.VCPUs+1, grown.MemoryMiB+64, grown.DiskGiB+1
	mark.Flavor, mark.DiskGiB = "larger", grown.DiskGiB
	for range 2 { // one that was cut short is done again
		k.must(k.resize(mark.ID, grown, mark))
	}
	k.wantSize(mark.ID, grown, mark)
	k.act(mark.ID, fleet.Start)
	k.wantPower(mark.ID, fleet.PowerRunning)
	k.wantSize(mark.ID, grown, mark)
	k.act(mark.ID, fleet.Stop)

	lean.DiskGiB, mark.Flavor = grown.DiskGiB, "lean again"
	k.must(k.resize(mark.ID, lean, mark))
	k.wantSize(mark.ID, lean, mark)
	k.act(mark.ID, fleet.Start)
	k.wantPower(mark.ID, fleet.PowerRunning)
}

func resizeRefusals(k *kit) {
	mark := k.withDisk("refused")
	m, err := k.d.Inspect(k.Context(), mark.ID)
	k.must(err)
	larger, shrunk := m.Resources, m.Resources
	larger.MemoryMiB += 64
	shrunk.DiskGiB--
	if err := k.resize(mark.ID, shrunk, mark); !errors.Is(err, drivers.ErrUnsupported) {
		k.Errorf("a smaller disk: got %v, want ErrUnsupported", err)
	}
	k.act(mark.ID, fleet.Start)
	if !k.has(drivers.FeatureResizeLive) {
		if err := k.resize(mark.ID, larger, mark); err == nil {
			k.Error("a running machine was resized, want an error")
		}
	}
	k.act(mark.ID, fleet.Stop)
	k.wantSize(mark.ID, m.Resources, mark)
	foreign := k.define("by-hand")
	if err := k.resize(foreign, larger, drivers.Mark{ID: foreign, Name: "mine"}); !errors.Is(err, drivers.ErrForeign) {
		k.Errorf("a foreign machine: got %v, want ErrForeign", err)
	}
	nobody := newID()
	if err := k.resize(nobody, larger, drivers.Mark{ID: nobody, Name: "nobody"}); !errors.Is(err, drivers.ErrNotFound) {
		k.Errorf("no machine: got %v, want ErrNotFound", err)
	}
}
