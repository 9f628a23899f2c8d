package e2e

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"grapevine/fleet"
	"grapevine/test/libvirtcut"
)

// realCut is a point of an operation at which the agent is killed.
type realCut struct {
	name  string
	given []string // what is done before, in one command
	ask   []string
	at    libvirtcut.Point
	// once: the call at which it is cut is not made a second time.
	once bool
	// mayFail: what must not be done twice fails where it was cut.
	mayFail bool
	wants   map[string]fleet.Power // what there is in the end, by name
}

func before(p libvirtcut.Procedure) libvirtcut.Point {
	return libvirtcut.Point{Procedure: p}
}

func after(p libvirtcut.Procedure) libvirtcut.Point {
	return libvirtcut.Point{Procedure: p, After: true}
}

// create makes web, with a disk, a seed and a log of its console.
func create(key string) []string {
	return []string{"create", "--name", "web", "--flavor", "micro", "--image", "debian", "--network", "none", "--hostname", "web", "--key", key}
}

var (
	nothing  = map[string]fleet.Power{}
	running  = map[string]fleet.Power{"web": fleet.PowerRunning}
	stopped  = map[string]fleet.Power{"web": fleet.PowerStopped}
	withCopy = map[string]fleet.Power{"web": fleet.PowerStopped, "copy": fleet.PowerRunning}
)

// realCuts are the lives of three machines, cut at each of their turns.
var realCuts = []realCut{
	{name: "delete, its power gone and its disks there", given: create("1"), ask: []string{"delete", "web"}, at: after(libvirtcut.DomainDestroyFlags), wants: nothing},
	{name: "create, its disks there and no domain", ask: create("2"), at: before(libvirtcut.DomainDefineXML), wants: running},
	{name: "delete, half of its disks gone", ask: []string{"delete", "web"}, at: after(libvirtcut.StorageVolDelete), wants: nothing},
	{name: "create, defined and not started", ask: create("3"), at: after(libvirtcut.DomainDefineXML), wants: running},
	{name: "start, begun", given: []string{"stop", "web", "--force"}, ask: []string{"start", "web"}, at: after(libvirtcut.DomainCreateWithFlags), once: true, wants: running},
	{name: "reboot, reset", ask: []string{"reboot", "web", "--force"}, at: after(libvirtcut.DomainReset), once: true, mayFail: true, wants: running},
	{name: "snapshot, taken", ask: []string{"snapshot", "create", "web", "snap"}, at: after(libvirtcut.DomainSnapshotCreateXML), once: true, wants: running},
	{name: "stop, its power gone", given: []string{"snapshot", "delete", "web", "snap"}, ask: []string{"stop", "web", "--force"}, at: after(libvirtcut.DomainDestroyFlags), once: true, wants: stopped},
	{name: "rebuild, two disks and the old named", ask: []string{"rebuild", "web", "--key", "r"}, at: before(libvirtcut.DomainDefineXML), wants: stopped},
	{name: "resize, its disk grown and it not", ask: []string{"resize", "web", "--flavor", "wide"}, at: after(libvirtcut.StorageVolResize), wants: stopped},
	{name: "clone, its disk copied", ask: []string{"clone", "web", "--name", "copy", "--hostname", "copy", "--key", "c"}, at: after(libvirtcut.StorageVolCreateXMLFrom), wants: withCopy},
	{name: "delete, all of it gone", given: []string{"delete", "copy"}, ask: []string{"delete", "web"}, at: after(libvirtcut.DomainUndefineFlags), wants: nothing},
}

// TestProof03AgentKilledAtStepsOfRealLibvirt kills the agent at steps of its
// talk with a real libvirtd, and looks at what there is once it is back.
func TestProof03AgentKilledAtStepsOfRealLibvirt(t *testing.T) {
	real := newLibvirtd(t)
	w := newWorld(t)
	relay := libvirtcut.Listen(t, filepath.Join(real.dir, "relay-sock"), real.socket)
	pool := filepath.Join(real.dir, "pool")
	host := w.newNode("agent", "kvm-1", fmt.Sprintf("driver = \"libvirt\"\nlibvirt_socket = %q\nlibvirt_pool_path = %q\naccelerator = \"tcg\"\n", relay.Socket, pool))
	host.start()
	guest := real.guest()
	host.do("image", "import", "--name", "debian", "--cmdline", "console=ttyS0 quiet no_timer_check",
		"--kernel", filepath.Join(guest, "vmlinuz"), "--initrd", filepath.Join(guest, "initrd"))
	h := &cutHost{node: host, real: real, relay: relay, pool: pool}
	h.images = h.files()
	for _, cut := range realCuts {
		if err := h.live(&cut); err != nil {
			t.Fatalf("killed at %s: %v", cut.name, err)
		}
	}
}

// cutHost is the host whose agent is killed.
type cutHost struct {
	*node
	real   *libvirtd
	relay  *libvirtcut.Relay
	pool   string
	images []string // the files of its pool that are no machine's
}

// live asks for the operation, kills the agent at the point, starts it again,
// and says what is not as it was promised.
func (h *cutHost) live(cut *realCut) error {
	if cut.given != nil {
		h.instanceDo(append(cut.given, "--wait", "80s")...)
	}
	sprung := h.relay.Arm(cut.at)
	asked := h.ask(cut)
	select {
	case <-sprung:
	case <-time.After(h.w.patience):
		return fmt.Errorf("it never came by %+v, but by %v", cut.at, h.relay.Changes())
	}
	h.kill()
	h.relay.Changes()
	h.start()
	h.w.until(cut.name+", and it has ended well", func() error { return h.ended(cut, asked.Operation) })
	if again := h.relay.Changes(); cut.once && slices.Contains(again, cut.at.Procedure) {
		return fmt.Errorf("it was done again after the restart, by %v", again)
	}
	if err := h.addsUp(cut); err != nil || !slices.Contains(cut.ask, "--key") {
		return err
	}
	twice := h.ask(cut)
	if twice.Instance.ID != asked.Instance.ID || twice.Operation != "" && twice.Operation != asked.Operation {
		return fmt.Errorf("the same key was answered with operation %s of %s, and then with %s of %s", asked.Operation, asked.Instance.ID, twice.Operation, twice.Instance.ID)
	}
	if again := h.relay.Changes(); len(again) > 0 {
		return fmt.Errorf("asked again with the same key, it did more: %v", again)
	}
	return h.addsUp(cut)
}

func (h *cutHost) instanceDo(args ...string) string {
	h.w.t.Helper()
	return h.do(append([]string{"instance"}, args...)...)
}

// ask asks without waiting.
func (h *cutHost) ask(cut *realCut) fleet.Accepted {
	h.w.t.Helper()
	out := h.instanceDo(append(cut.ask, "-o", "json")...)
	return decode[fleet.Accepted](h.w.t, out)
}

// ended says why an operation is not over, or not as it must be.
func (h *cutHost) ended(cut *realCut, operation string) error {
	out, stderr, _ := h.cli("operation", "show", operation, "-o", "json")
	if out == "" {
		return errors.New(stderr)
	}
	op := decode[fleet.Operation](h.w.t, out)
	if op.State == fleet.OperationRunning {
		return fmt.Errorf("it is at %q", op.Step)
	}
	if op.State == fleet.OperationFailed && (!cut.mayFail || op.Fault == "") {
		return fatalError{fmt.Errorf("it failed: %s", op.Fault)}
	}
	return h.shows(cut)
}

// shows says where rows and domains are not what there must be.
func (h *cutHost) shows(cut *realCut) error {
	listed := h.instances()
	seen := map[string]fleet.Power{}
	for i := range listed.Items {
		row := &listed.Items[i]
		if row.Task != fleet.TaskNone || (row.Fault != "" && !cut.mayFail) || seen[row.Name] != "" {
			return fmt.Errorf("row %s, of %d: task %q, fault %q", row.Name, len(listed.Items), row.Task, row.Fault)
		}
		seen[row.Name] = row.Power
	}
	if !maps.Equal(seen, cut.wants) {
		return fmt.Errorf("it lists %v, want %v", seen, cut.wants)
	}
	return nil
}

// addsUp compares what the agent says with libvirt and with the files of the
// pool.
func (h *cutHost) addsUp(cut *realCut) error {
	if err := h.shows(cut); err != nil {
		return err
	}
	rows := h.instances().Items
	if domains := strings.Fields(h.real.virsh("list", "--all", "--uuid")); len(domains) != len(rows) {
		return fmt.Errorf("%d rows, and libvirt has domains %v", len(rows), domains)
	}
	files := h.files()
	for i := range rows {
		row := &rows[i]
		if state := strings.TrimSpace(h.real.virsh("domstate", row.ID.String())); (state == "running") != (row.Power == fleet.PowerRunning) {
			return fmt.Errorf("the row of %s says %s, and libvirt %s", row.Name, row.Power, state)
		}
		own := slices.DeleteFunc(slices.Clone(files), func(name string) bool { return !strings.Contains(name, row.ID.String()) })
		if len(own) != 3 {
			return fmt.Errorf("%s has a disk, a seed and a log, and in the pool there are %v", row.Name, own)
		}
		files = slices.DeleteFunc(files, func(name string) bool { return slices.Contains(own, name) })
	}
	if !slices.Equal(files, h.images) {
		return fmt.Errorf("of no machine there are %v in the pool, want %v", files, h.images)
	}
	h.w.until(cut.name+", and each machine is counted once", func() error { return h.counted(rows) })
	if out, stderr, code := h.cli("verify"); code != 0 {
		return fmt.Errorf("verify found %s%s", out, stderr)
	}
	return nil
}

// counted compares the account of the host with its machines.
func (h *cutHost) counted(rows []fleet.Instance) error {
	var sum fleet.Resources
	for i := range rows {
		r := rows[i].Resources()
		sum.VCPUs, sum.MemoryMiB, sum.DiskGiB = sum.VCPUs+r.VCPUs, sum.MemoryMiB+r.MemoryMiB, sum.DiskGiB+r.DiskGiB
	}
	c := h.hosts().Items[0].Capacity
	if got := (fleet.Resources{VCPUs: c.VCPUs.Allocated, MemoryMiB: c.MemoryMiB.Allocated, DiskGiB: c.DiskGiB.Allocated}); got != sum {
		return fmt.Errorf("%+v are allocated, and the machines have %+v", got, sum)
	}
	return nil
}

// files lists the pool.
func (h *cutHost) files() []string {
	h.w.t.Helper()
	entries, err := os.ReadDir(h.pool)
	if err != nil {
		h.w.t.Fatal(err)
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names
}
