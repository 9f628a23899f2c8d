package xenlab_test

import (
	"bytes"
	"testing"

	"grapevine/drivers"
	"grapevine/fleet"
)

// rescue boots an HVM guest from another disk, which its firmware finds where
// its own was, and from its own again.
func (b *bench) rescue(t *testing.T) {
	id := b.bootSector(t)
	content := bootSector("the rescue has booted\n")
	f := imageFile(fleet.RoleDisk, "raw", content)
	im := fleet.Image{ID: f.SHA256, Name: "rescuer", Files: []fleet.ImageFile{f}, Bytes: f.Bytes}
	must(t, b.d.ImportImage(t.Context(), im, bytes.NewReader(content)))
	m, err := b.d.Inspect(t.Context(), id)
	must(t, err)
	mark := *m.Mark
	mark.Rescue = drivers.Rescued{Image: im.ID, Power: fleet.PowerStopped}
	must(t, b.d.Rescue(t.Context(), id, im, mark))
	b.runs(t, id, "the rescue has booted")
	devices, err := b.d.Devices(t.Context(), id)
	must(t, err)
	if len(devices) != 1 || devices[0].Name != drivers.DiskName(0) {
		t.Errorf("rescued, its devices are %+v; want its own disk", devices)
	}
	must(t, b.d.Unrescue(t.Context(), id, *m.Mark))
	b.runs(t, id, "a disk has booted")
}

// runs starts a machine until it says this, and stops it.
func (b *bench) runs(t *testing.T, id fleet.InstanceID, word string) {
	t.Helper()
	must(t, b.d.Act(t.Context(), id, fleet.Start, drivers.ActOptions{}))
	b.says(t, id, word, 1)
	must(t, b.d.Act(t.Context(), id, fleet.Stop, drivers.ActOptions{}))
}
