package e2e

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"grapevine/fleet"
	"grapevine/test/xenlab"
)

// xenPatience bounds what a guest of an emulated Xen host may take, and xenPause
// is between two looks at it: each is work for its dom0, which the guest's own
// boot waits for.
const (
	xenPatience = 10 * time.Minute
	xenPause    = time.Second
)

// A real agent drives a real Xen; all that is done to an instance at a registry
// is done there, and seen at both.
func TestLifeOfAnInstanceOnXen(t *testing.T) {
	host := xenlab.Start(t)
	w, agent := xenWorld(t, host)
	registry := w.registry("registry-1")
	both := []*node{registry, agent}
	w.complete(both, 1)

	shown := hostNamed(t, registry, "xen-1")
	if shown.Hypervisor != fleet.Xen || !strings.HasPrefix(shown.HypervisorVersion, "Xen 4.") {
		t.Errorf("the host runs %s, %q; want Xen", shown.Hypervisor, shown.HypervisorVersion)
	}
	if m := shown.Capacity.MemoryMiB; m.Reserved < 1024 || m.Free != m.Total-m.Reserved {
		t.Errorf("its memory is %+v; want Domain-0's gigabyte reserved, and no machine", m)
	}
	hw := decode[fleet.Hardware](t, registry.do("host", "hardware", "xen-1", "-o", "json"))
	if hw.Host != shown.ID || int64(hw.CPU.Sockets*hw.CPU.Cores*hw.CPU.Threads) != shown.Capacity.VCPUs.Total/4 || len(hw.Pools) < 2 {
		t.Errorf("its hardware is %+v; want its processors, and the pools of disks and of console logs", hw)
	}
	if list := registry.instances(); len(list.Items) != 0 {
		t.Errorf("it lists %+v; Domain-0 is no instance", list.Items)
	}

	guest := t.TempDir()
	w.script("tiny-guest", guest)
	registry.do("image", "import", "--name", "debian", "--host", "xen-1", "--cmdline", "console=hvc0 quiet",
		"--kernel", filepath.Join(guest, "vmlinuz"), "--initrd", filepath.Join(guest, "initrd"))
	wait := []string{"--wait", "5m"} // the most that there is
	out := registry.do(append([]string{"instance", "create", "-o", "json", "--name", "web", "--flavor", "micro", "--image", "debian", "--key", "xen-1"}, wait...)...)
	row := firstInstance(t, out)
	if row.Power != fleet.PowerRunning || row.Fault != "" || row.HostName != "xen-1" {
		t.Fatalf("created with power %q at %q, fault %q; want it running at xen-1", row.Power, row.HostName, row.Fault)
	}
	id := row.ID.String()
	do := func(args ...string) {
		t.Helper()
		registry.do(append(append([]string{"instance"}, args...), wait...)...)
	}
	line := "tiny-guest: up, id " + id + ", disks xvda:"
	up := func(times int) {
		t.Helper()
		w.until("the guest's own line is in the log", func() error { return logged(registry, row.ID, line, times) })
	}
	up(1)
	for _, step := range []struct {
		verb string
		want fleet.Power
	}{{"pause", fleet.PowerPaused}, {"resume", fleet.PowerRunning}, {"reboot", fleet.PowerRunning}} {
		do(step.verb, id)
		w.seen(step.verb+" done", row.ID, both, has(step.want))
	}
	up(2)
	_, stderr, code := registry.cli("instance", "snapshot", "create", id, "one")
	if code != 1 || !strings.Contains(stderr, "snapshot") {
		t.Errorf("a snapshot: exit code %d, %q; want it refused by name", code, stderr)
	}
	do("stop", id)
	w.seen("it stopped", row.ID, both, has(fleet.PowerStopped))
	if err := logged(registry, row.ID, "tiny-guest: power button", 1); err != nil {
		t.Errorf("the guest was not asked to shut down: %v", err)
	}
	do("resize", id, "--flavor", "wide")
	w.seen("it wide", row.ID, both, func(row fleet.Instance) bool {
		return row.Flavor == "wide" && row.VCPUs == 2 && row.MemoryMiB == 160 && row.DiskGiB == 2
	})
	do("start", id)
	up(3)
	do("delete", id)
	w.gone(row.ID, both)
	w.leavesNothing(host)
}

// xenWorld is a fleet of one agent, xen-1, that drives this host.
func xenWorld(t *testing.T, host *xenlab.Host) (*world, *node) {
	t.Helper()
	w := newWorld(t)
	w.patience, w.pause = xenPatience, xenPause
	agent := w.newNode("agent", "xen-1", fmt.Sprintf("driver = \"libvirt\"\nlibvirt_uri = \"xen:///system\"\nlibvirt_socket = %q\nstop_grace = \"%s\"\n",
		host.Relay(t).Path(), xenPatience/2))
	agent.start()
	return w, agent
}

// leavesNothing: all that is on the host is Domain-0, and images.
func (w *world) leavesNothing(host *xenlab.Host) {
	w.t.Helper()
	left, err := host.Shell(w.t.Context(), "virsh -q list --all --name; ls /var/lib/libvirt/images/grapevine | grep -v ^image-; ls /var/log/xen/console")
	if err != nil || strings.Join(strings.Fields(left), " ") != "Domain-0" {
		w.t.Errorf("left on the host: %q, %v; want Domain-0 alone", left, err)
	}
}
