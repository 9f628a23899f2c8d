package libvirt_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"grapevine/drivers"
	"grapevine/fleet"
	"grapevine/internal/leaveout"
)

// firstDisk is the file that the machine has its first disk in, outside of the
// daemon's own namespace.
func (l *lab) firstDisk(tb testing.TB, id fleet.InstanceID) string {
	tb.Helper()
	for line := range strings.Lines(l.virsh(tb, "domblklist", id.String(), "--inactive")) {
		if fields := strings.Fields(line); len(fields) == 2 && fields[0] == "vda" {
			return filepath.Join(l.pool(), filepath.Base(fields[1]))
		}
	}
	tb.Fatalf("machine %s has no first disk", id)
	return ""
}

func TestRebuiltDiskHoldsNothingOfTheOldOne(t *testing.T) {
	if !installed("qemu-io") {
		leaveout.Test(t, "qemu-io is not installed")
	}
	l := newLab(t, "logd")
	d := l.open(t, nil)
	defer d.Close()
	im, content := tinyGuest()
	if err := d.ImportImage(t.Context(), im, bytes.NewReader(content)); err != nil {
		t.Fatal(err)
	}
	id := randomID()
	mark := drivers.Mark{ID: id, Name: "again", Image: im.ID, DiskGiB: 1, Generation: 1}
	if err := d.Build(t.Context(), drivers.Spec{Mark: mark, Resources: fleet.Resources{VCPUs: 1, MemoryMiB: 96, DiskGiB: 1}, Image: im}); err != nil {
		t.Fatal(err)
	}
	old := l.firstDisk(t, id)
	run(t, "qemu-io", "-c", "write -P 0x5a 1M 64k", old)
	run(t, "qemu-io", "-c", "read -P 0x5a 1M 64k", old)
	// What somebody kept of its memory at the host belongs to the old disk.
	l.virsh(t, "start", id.String())
	l.virsh(t, "managedsave", id.String())

	mark.Rebuilt = 1
	if err := d.Rebuild(t.Context(), id, drivers.Rebuild{Image: im, Mark: mark}); err != nil {
		t.Fatal(err)
	}
	run(t, "qemu-io", "-c", "read -P 0 1M 64k", l.firstDisk(t, id))
	if _, err := os.Stat(old); !os.IsNotExist(err) {
		t.Errorf("the old disk is still there: %v", err)
	}
	if saved := l.virsh(t, "list", "--all", "--with-managed-save", "--name"); strings.TrimSpace(saved) != "" {
		t.Errorf("%s would go on with the memory of before", strings.TrimSpace(saved))
	}
	if err := d.Delete(t.Context(), id); err != nil {
		t.Fatal(err)
	}
}
