package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"grapevine/fleet"
)

// whoAmI is what the guest is told to be, and to say once it is.
const whoAmI = `#cloud-config
users:
  - name: vine
    ssh_authorized_keys: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFromUserData somebody]
ssh_pwauth: false
runcmd:
  - [sh, -c, 'echo "guest says I am $(hostname), $(id -un vine) is here, $(grep -c FromUserData /home/vine/.ssh/authorized_keys) key, disk $(cat /sys/block/vda/size)" > /dev/ttyS0']
`

// A Debian that nobody prepared boots from its disk, by UEFI, and is what its
// user data says: host name, user, key, and a disk as large as asked for.
func TestDebianBootsFromItsDiskAndIsWhatCloudInitWasTold(t *testing.T) {
	real := newLibvirtd(t)
	w := newWorld(t)
	w.patience = 15 * time.Minute // under emulation it takes two where the machine is not busy
	host := w.newNode("agent", "kvm-1", fmt.Sprintf("driver = \"libvirt\"\nlibvirt_socket = %q\nlibvirt_pool_path = %q\naccelerator = \"tcg\"\n",
		real.socket, filepath.Join(real.dir, "pool")))
	host.start()
	guest := filepath.Join(real.dir, "debian")
	real.script("debian-guest", guest)
	host.do("image", "import", "--name", "debian-12", "--disk", filepath.Join(guest, "debian.qcow2"))
	userData := w.path("user-data")
	if err := os.WriteFile(userData, []byte(whoAmI), 0o600); err != nil {
		t.Fatal(err)
	}
	row := host.create("--name", "Web Server", "--flavor", "debian", "--image", "debian-12", "--firmware", "uefi", "--network", "none", "--user-data", userData)
	if row.Power != fleet.PowerRunning || row.Fault != "" {
		t.Fatalf("created with power %q, fault %q", row.Power, row.Fault)
	}
	const disk = 3 << 21 // GiB in sectors
	want := fmt.Sprintf("guest says I am web-server, vine is here, 1 key, disk %d", disk)
	w.until("the guest says who it is", func() error { return logged(host, row.ID, want, 1) })

	if strings.Contains(host.do("instance", "show", row.ID.String(), "-o", "json"), "FromUserData") {
		t.Error("user data is shown to whoever reads the row")
	}
	host.do("instance", "delete", row.ID.String(), "--wait", "80s")
	host.do("image", "delete", "debian-12")
	left, err := os.ReadDir(filepath.Join(real.dir, "pool"))
	if err != nil || len(left) != 0 {
		t.Errorf("the pool holds %v (%v), want nothing", left, err)
	}
}
