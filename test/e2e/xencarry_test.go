package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"grapevine/fleet"
	"grapevine/test/xenlab"
)

// An instance on Xen is rebuilt, rescued, carried away in a file and brought
// back beside itself, through a registry; its guest says each time what it has
// booted, and what was on its disk is on the other's.
func TestInstanceIsRemadeAndCarriedOnXen(t *testing.T) {
	host := xenlab.Start(t)
	w, agent := xenWorld(t, host)
	registry := w.registry("registry-1")
	both := []*node{registry, agent}
	w.complete(both, 1)
	guest := t.TempDir()
	w.script("tiny-guest", guest)
	for _, name := range []string{"first", "other"} {
		registry.do("image", "import", "--name", name, "--host", "xen-1", "--cmdline", "console=hvc0 image="+name,
			"--kernel", filepath.Join(guest, "vmlinuz"), "--initrd", filepath.Join(guest, "initrd"))
	}
	do := func(args ...string) string {
		t.Helper()
		return registry.do(append(append([]string{"instance"}, args...), "--wait", "5m")...)
	}
	row := firstInstance(t, do("create", "-o", "json", "--name", "web", "--flavor", "micro", "--image", "first", "--label", "tier=front"))
	// The kernel prints its command line, and the guest its disks.
	boots := func(id fleet.InstanceID, image string, times int) {
		t.Helper()
		w.until(fmt.Sprintf("%s boots %s", id, image), func() error {
			return errors.Join(logged(registry, id, "Kernel command line: console=hvc0 image="+image, times), logged(registry, id, fmt.Sprintf("id %s, disks xvda:%d", id, 1<<30/512), times))
		})
	}
	boots(row.ID, "first", 1)

	do("rebuild", "web", "--image", "other")
	boots(row.ID, "other", 1)
	do("rescue", "web", "--image", "first")
	w.seen("it rescued", row.ID, both, func(now fleet.Instance) bool { return now.Rescue != "" && now.Rescue != now.Image })
	boots(row.ID, "first", 2)
	do("unrescue", "web")
	boots(row.ID, "other", 2)

	do("stop", "web")
	w.seen("it stopped", row.ID, both, has(fleet.PowerStopped))
	disk := func(id fleet.InstanceID, command string) {
		t.Helper()
		out, err := host.Shell(t.Context(), fmt.Sprintf("qemu-io -f qcow2 -c '%s' /var/lib/libvirt/images/grapevine/disk-%s*.qcow2", command, id))
		if err != nil || strings.Contains(out, "failed") {
			t.Fatalf("%s: %s %v", command, out, err)
		}
	}
	disk(row.ID, "write -P 0x67 64k 4k")
	file := w.path("web.grapevine")
	registry.do("instance", "export", "web", "--file", file)
	var made fleet.Accepted
	if err := json.Unmarshal([]byte(do("import", file, "--name", "web-2", "--host", "xen-1", "-o", "json")), &made); err != nil {
		t.Fatal(err)
	}
	id := made.Instance.ID
	boots(id, "other", 1)
	back, _ := registry.instance(id)
	if back.Flavor != "micro" || back.Labels["tier"] != "front" || back.Power != fleet.PowerRunning {
		t.Errorf("brought back as %+v", back)
	}
	do("stop", "web-2")
	disk(id, "read -P 0x67 64k 4k")
	for _, id := range []fleet.InstanceID{row.ID, id} {
		do("delete", id.String())
		w.gone(id, both)
	}
	w.leavesNothing(host)
}
