package libvirt_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"grapevine/drivers"
	"grapevine/drivers/libvirt"
	"grapevine/fleet"
	"grapevine/internal/leaveout"
)

// mountedPool uses a pool that is a file system of a block device, which libvirt
// itself mounts: a machine lives in it like in a folder, and its size is the
// host's.
func (l *lab) mountedPool(t *testing.T) {
	if _, err := os.Stat("/dev/loop-control"); err != nil {
		leaveout.Test(t, "there are no loop devices")
	}
	file := filepath.Join(l.dir, "blocks")
	must(t, os.WriteFile(file, nil, 0o600))
	must(t, os.Truncate(file, 3<<30))
	run(t, "/usr/sbin/mkfs.ext4", "-q", file)
	device := strings.TrimSpace(run(t, "/usr/sbin/losetup", "--find", "--show", file))
	t.Cleanup(func() { run(t, "/usr/sbin/losetup", "--detach", device) })
	l.virsh(t, "pool-define-as", "mounted", "fs", "--source-dev", device, "--source-format", "ext4", "--target", filepath.Join(l.dir, "mounted"))
	t.Cleanup(func() { l.virsh(t, "pool-destroy", "mounted") })

	d := driver(t, l, func(c *libvirt.Config) { c.Pool = "mounted" })
	desc, err := d.Describe(t.Context())
	must(t, err)
	if desc.Total.DiskGiB != 2 { // of 3, less what ext4 takes
		t.Errorf("the host has %d GiB for disks, want 2", desc.Total.DiskGiB)
	}
	im, content := tinyGuest()
	s := spec(t, d, im, content, 1)
	must(t, d.Build(t.Context(), s))
	must(t, d.Act(t.Context(), s.Mark.ID, fleet.Start, drivers.ActOptions{}))
	awaitConsole(t, d, s.Mark.ID, "tiny-guest: up, id "+s.Mark.ID.String()+", disks vda:", 1)
	must(t, d.TakeSnapshot(t.Context(), s.Mark.ID, "one"))
	must(t, d.Delete(t.Context(), s.Mark.ID))
	must(t, d.RemoveImage(t.Context(), im.ID))
	if left := l.daemon(t, "exec", "ls", filepath.Join(l.dir, "mounted")); strings.TrimSpace(left) != "lost+found" {
		t.Errorf("in the pool there is left %q", left)
	}
}

// blockPool has no files: that is said before anything is done.
func (l *lab) blockPool(t *testing.T) {
	file := filepath.Join(l.dir, "logical.xml")
	must(t, os.WriteFile(file, []byte(`<pool type="logical"><name>blocks</name><source><device path="/dev/nowhere"/><name>blocks</name></source><target><path>/dev/blocks</path></target></pool>`), 0o600))
	if out, err := command("virsh", "-q", "-c", "qemu+unix:///system?socket="+l.socket, "pool-define", file); err != nil {
		leaveout.Test(t, "libvirt knows no pools on LVM: "+err.Error()+out)
	}
	d := driver(t, l, func(c *libvirt.Config) { c.Pool = "blocks" })
	im, content := tinyGuest()
	if err := d.ImportImage(t.Context(), im, bytes.NewReader(content)); !errors.Is(err, drivers.ErrUnsupported) || !strings.Contains(err.Error(), "type logical") {
		t.Errorf("import: got %v, want ErrUnsupported and the type", err)
	}
	gone := driver(t, l, func(c *libvirt.Config) { c.DiskPool = "absent" })
	if !slices.ContainsFunc(gone.Diagnose(t.Context()), func(f drivers.Finding) bool {
		return f.Code == "pool_missing" && f.Subject == "absent" && f.Severity == drivers.SeverityError
	}) {
		t.Errorf("doctor says %+v, want that the pool of disks is absent", gone.Diagnose(t.Context()))
	}
	if _, err := gone.Describe(t.Context()); err == nil {
		t.Error("a host without its pool of disks describes itself")
	}
	i := slices.IndexFunc(d.Diagnose(t.Context()), func(f drivers.Finding) bool { return f.Code == "pool_unusable" })
	if i < 0 {
		t.Errorf("doctor says %+v, want that the pool is of no use", d.Diagnose(t.Context()))
	}
}

// diskPool keeps disks in one pool and all else in another: a machine of before
// keeps its disk until it is rebuilt, and a delete finds a disk also in a pool
// that is not configured any more.
func (l *lab) diskPool(t *testing.T) {
	elsewhere := filepath.Join(l.dir, "elsewhere")
	l.virsh(t, "pool-define-as", "elsewhere", "dir", "--target", elsewhere)
	before := driver(t, l, nil)
	im, content := tinyGuest()
	old := spec(t, before, im, content, 1)
	must(t, before.Build(t.Context(), old))
	d := driver(t, l, func(c *libvirt.Config) { c.DiskPool = "elsewhere" })
	s := spec(t, d, im, content, 1)
	s.Disks, s.Guest = []fleet.Disk{{SizeGiB: 1}}, fleet.Guest{Hostname: "web"}
	must(t, d.Build(t.Context(), s))
	holds := func(dir string, id fleet.InstanceID) (names []string) {
		found, err := filepath.Glob(filepath.Join(dir, "*"+id.String()+"*"))
		must(t, err)
		for _, path := range found {
			names = append(names, strings.Replace(filepath.Base(path), id.String(), "ID", 1))
		}
		return names
	}
	want := func(dir string, id fleet.InstanceID, names ...string) {
		t.Helper()
		if got := holds(dir, id); !slices.Equal(got, names) {
			t.Errorf("in %s there are %q, want %q", filepath.Base(dir), got, names)
		}
	}
	want(elsewhere, s.Mark.ID, "disk-ID-1.qcow2", "disk-ID.qcow2")
	want(l.pool(), s.Mark.ID, "console-ID.log", "seed-ID.iso")

	must(t, d.GrowDisk(t.Context(), old.Mark.ID, drivers.DiskName(0), 2))
	want(l.pool(), old.Mark.ID, "console-ID.log", "disk-ID.qcow2")
	mark := old.Mark
	mark.Rebuilt++
	must(t, d.Rebuild(t.Context(), old.Mark.ID, drivers.Rebuild{Mark: mark, Image: im}))
	want(l.pool(), old.Mark.ID, "console-ID.log")
	if moved := holds(elsewhere, old.Mark.ID); len(moved) != 1 {
		t.Errorf("after its rebuild it has %q in the pool of disks, want one disk", moved)
	}
	for _, id := range []fleet.InstanceID{s.Mark.ID, old.Mark.ID} {
		must(t, before.Delete(t.Context(), id))
		want(elsewhere, id)
		want(l.pool(), id)
	}
	l.lostApart(t, d)
}

// lostApart: disks that belong to no machine are told of the pool of disks too,
// also under the names that block devices have.
func (l *lab) lostApart(t *testing.T, d *libvirt.Driver) {
	t.Helper()
	lost := randomID()
	var want []drivers.Volume
	for _, end := range []string{"", "-1", ".qcow2"} {
		name := "disk-" + lost.String() + end
		l.virsh(t, "vol-create-as", "elsewhere", name, "1M")
		t.Cleanup(func() { l.virsh(t, "vol-delete", name, "--pool", "elsewhere") })
		want = append(want, drivers.Volume{Machine: lost, Name: name})
	}
	got, err := d.Volumes(t.Context())
	must(t, err)
	for _, volume := range want {
		if !slices.Contains(got, volume) {
			t.Errorf("got %v; want %s of the pool of disks among them", got, volume.Name)
		}
	}
}
