package libvirt_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"grapevine/drivers"
	"grapevine/drivers/libvirt"
	"grapevine/fleet"
	"grapevine/internal/leaveout"
)

// standInZFS stands in for the commands of ZFS, which take a module of the kernel
// that test machines lack: a volume is a file with a loop device, and its link
// comes a moment after the command has ended, as udev makes it. What speaks to it
// is libvirt's own code for ZFS.
const standInZFS = `#!/bin/sh
set -eu
state=%[1]s
case $1 in
get) echo "The following properties are supported: volsize" >&2; exit 2 ;;
create)
	while [ $# -gt 2 ]; do
		[ "$1" != -V ] || size=$2
		shift
	done
	[ ! -e "$state/$2" ]
	truncate -s "$size" "$state/$2"
	device=$(losetup --find --show "$state/$2")
	(sleep 0.3; ln -s "$device" "/dev/zvol/$2") >/dev/null 2>&1 </dev/null &
	;;
destroy)
	losetup --detach "$(readlink "/dev/zvol/$2")"
	rm "/dev/zvol/$2" "$state/$2"
	;;
list) cd "$state" && find tank -type f -printf "%%p\t%%s\t%%s\n" ;;
esac
`

const standInZPool = `#!/bin/sh
for pair in size=17179869184 free=16106127360 allocated=1073741824; do
	printf "tank\t%s\t%s\t-\n" "${pair%%=*}" "${pair#*=}"
done
`

// newZFSLab is a lab whose libvirt has a pool of ZFS's, called tank.
func newZFSLab(t *testing.T) (l *lab, state string) {
	t.Helper()
	commands := t.TempDir()
	state = t.TempDir()
	must(t, os.Mkdir(filepath.Join(state, "tank"), 0o700))
	must(t, os.WriteFile(filepath.Join(commands, "zfs"), fmt.Appendf(nil, standInZFS, state), 0o700))
	must(t, os.WriteFile(filepath.Join(commands, "zpool"), []byte(standInZPool), 0o700))
	t.Setenv("PATH", commands+":"+os.Getenv("PATH"))
	l = newLab(t, "file")
	// The devices of the machine with a folder more, in the lab alone.
	l.daemon(t, "exec", "sh", "-c", `set -eu
		mkdir "$0/dev" "$0/dev/over" "$0/dev/work" "$0/dev/pts"
		mount --bind /dev/pts "$0/dev/pts"
		mount -t overlay -o "lowerdir=/dev,upperdir=$0/dev/over,workdir=$0/dev/work" devices /dev
		mount --move "$0/dev/pts" /dev/pts
		mkdir -p /dev/zvol/tank`, l.dir)
	if out, err := command("virsh", "-q", "-c", "qemu+unix:///system?socket="+l.socket, "pool-define-as", "tank", "zfs", "--source-name", "tank"); err != nil {
		leaveout.Test(t, "libvirt knows no pools on ZFS: "+err.Error()+out)
	}
	return l, state
}

// TestDisksOnZFSAreSent: libvirt copies nothing into a pool of ZFS's, and a machine
// has its disks there all the same.
func TestDisksOnZFSAreSent(t *testing.T) {
	l, state := newZFSLab(t)
	d := driver(t, l, func(c *libvirt.Config) { c.DiskPool = "tank" })
	desc, err := d.Describe(t.Context())
	must(t, err)
	if desc.Total.DiskGiB != 16 {
		t.Errorf("the host has %d GiB for disks, want 16", desc.Total.DiskGiB)
	}
	kernel, content := tinyGuest()
	s := spec(t, d, kernel, content, 1)
	id := s.Mark.ID
	begin, disk := diskImage(t)
	must(t, d.ImportImage(t.Context(), begin, bytes.NewReader(disk)))
	s.Disks = []fleet.Disk{{SizeGiB: 1}}
	s.Origins = []drivers.Origin{{}, {Image: begin}}
	must(t, d.Build(t.Context(), s))

	want := append(disk, make([]byte, len(disk))...)
	if got, size := begins(t, filepath.Join(state, "tank", "disk-"+id.String()+"-1"), len(want)); !bytes.Equal(got, want) || size != 1<<30 {
		t.Errorf("a volume of %d bytes does not hold the image, and zeros after it", size)
	}
	must(t, d.Act(t.Context(), id, fleet.Start, drivers.ActOptions{}))
	awaitConsole(t, d, id, fmt.Sprintf("tiny-guest: up, id %s, disks vda:%d vdb:%[2]d", id, 1<<30/512), 1)
	if got, err := d.Volumes(t.Context()); err != nil || len(got) != 2 {
		t.Errorf("got %v, %v; want its two disks", got, err)
	}
	must(t, d.Delete(context.WithoutCancel(t.Context()), id))
	for _, dir := range []string{filepath.Join(state, "tank"), l.pool()} {
		left, err := filepath.Glob(filepath.Join(dir, "*"+id.String()+"*"))
		must(t, err)
		if len(left) > 0 {
			t.Errorf("of the machine there is left %s", strings.Join(left, " "))
		}
	}
}

// begins is how a file begins, and how long it is.
func begins(t *testing.T, path string, bytes int) (begin []byte, size int64) {
	t.Helper()
	f, err := os.Open(path)
	must(t, err)
	defer f.Close()
	info, err := f.Stat()
	must(t, err)
	begin = make([]byte, bytes)
	_, err = f.ReadAt(begin, 0)
	must(t, err)
	return begin, info.Size()
}

// diskImage is an image of a raw disk, which is its content.
func diskImage(t *testing.T) (fleet.Image, []byte) {
	t.Helper()
	content := bytes.Repeat([]byte("what the image holds, and more; "), 1<<15)
	im := fleet.Image{Name: "disk", Files: []fleet.ImageFile{imageFile(fleet.RoleDisk, fleet.FormatRaw, content, int64(len(content)))}}
	im.ID, im.Bytes = fleet.ImageID(im.Files, im.Cmdline), int64(len(content))
	return im, content
}
