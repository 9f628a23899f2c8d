package libvirt_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"grapevine/drivers"
	"grapevine/drivers/libvirt"
	"grapevine/fleet"
)

// rawImage imports a raw disk that is filled with a byte.
func rawImage(t *testing.T, d *libvirt.Driver, name string, fill byte) fleet.Image {
	t.Helper()
	content := bytes.Repeat([]byte{fill}, 1<<20)
	file := imageFile(fleet.RoleDisk, fleet.FormatRaw, content, 1<<20)
	im := fleet.Image{ID: file.SHA256, Name: name, Files: []fleet.ImageFile{file}, Bytes: file.Bytes}
	if err := d.ImportImage(t.Context(), im, bytes.NewReader(content)); err != nil {
		t.Fatal(err)
	}
	return im
}

// sortedLines makes nothing of the order in which libvirt writes controllers.
func sortedLines(text string) []string {
	return slices.Sorted(strings.Lines(text))
}

func TestRescueFromADiskIsBootedFirstAndGoesWithIt(t *testing.T) {
	l := newLab(t, "logd")
	d := l.open(t, nil)
	defer d.Close()
	own, rescuer := rawImage(t, d, "own", 'o'), rawImage(t, d, "rescuer", 'r')
	id := randomID()
	mark := drivers.Mark{ID: id, Name: "mended", Image: own.ID, DiskGiB: 1, Generation: 1}
	if err := d.Build(t.Context(), drivers.Spec{Mark: mark, Resources: fleet.Resources{VCPUs: 1, MemoryMiB: 64, DiskGiB: 1}, Image: own}); err != nil {
		t.Fatal(err)
	}
	before := l.virsh(t, "dumpxml", id.String(), "--inactive")
	during := mark
	during.Rescue = drivers.Rescued{Image: rescuer.ID, Power: fleet.PowerStopped}
	if err := d.Rescue(t.Context(), id, rescuer, during); err != nil {
		t.Fatal(err)
	}
	if err := d.Act(t.Context(), id, fleet.Start, drivers.ActOptions{}); err != nil {
		t.Fatal(err)
	}
	text := l.virsh(t, "dumpxml", id.String())
	if own, disk := strings.Contains(text, "disk-"+id.String()+".qcow2"), strings.Contains(text, "rescue-"+id.String()+".qcow2"); !own || !disk || strings.Count(text, "<boot order='1'/>") != 1 {
		t.Errorf("the machine has its own disk: %v, the rescue's: %v, in\n%s", own, disk, text)
	}
	devices, err := d.Devices(t.Context(), id)
	if err != nil || len(devices) != 1 {
		t.Errorf("its devices are %+v (%v), want its own disk alone", devices, err)
	}
	if err := d.Act(t.Context(), id, fleet.Stop, drivers.ActOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := d.Unrescue(t.Context(), id, mark); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(sortedLines(before), sortedLines(l.virsh(t, "dumpxml", id.String(), "--inactive"))); diff != "" {
		t.Errorf("the domain (-before +after):\n%s", diff)
	}
	if err := d.Delete(t.Context(), id); err != nil {
		t.Fatal(err)
	}
}
