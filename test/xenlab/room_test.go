package xenlab_test

import "testing"

// makeRoom gives the pool of files a file system of its own, which can be made
// full and takes nothing from the host's.
const makeRoom = `set -e
truncate -s 6G /var/lib/room.img
mkfs.ext4 -q -m 0 -E nodiscard /var/lib/room.img
mkdir -p /srv/room /var/lib/libvirt/images/grapevine
mount -o loop /var/lib/room.img /srv/room
mkdir /srv/room/pool
mount --bind /srv/room/pool /var/lib/libvirt/images/grapevine
`

// Fill takes all that is left of it.
func (h *harness) Fill(tb testing.TB, on bool) {
	tb.Helper()
	command := "rm -f /srv/room/full /srv/room/rest && sync -f /srv/room"
	if on { // to the last block, of which the first command leaves some
		command = "cd /srv/room; fallocate -l 6G full; dd if=/dev/zero of=rest bs=4k; sync -f .; [ $(stat -f -c %a .) = 0 ]"
	}
	if _, err := h.host.Shell(tb.Context(), command); err != nil {
		tb.Fatal(err)
	}
}
