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
	i := slices.IndexFunc(d.Diagnose(t.Context()), func(f drivers.Finding) bool { return f.Code == "pool_unusable" })
	if i < 0 {
		t.Errorf("doctor says %+v, want that the pool is of no use", d.Diagnose(t.Context()))
	}
}
