package bench

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"grapevine/api/client"
	"grapevine/fleet"
	"grapevine/identity"
)

// starts is how often the guest is started each way.
const starts = 9

const scripts = "../../scripts"

// BenchmarkRealStart measures what Grapevine adds to the start of a real guest:
// the same domain is started by turns through a registry, until the registry
// itself shows it running with nothing left to do, and with virsh at the host,
// until virsh returns. It needs root and what scripts/setup-test-host installs.
func BenchmarkRealStart(b *testing.B) {
	if _, err := exec.LookPath("libvirtd"); err != nil || os.Getuid() != 0 {
		note(b, "left out", "a real libvirtd needs root and scripts/setup-test-host")
		b.Skip("left out: a real libvirtd needs root and scripts/setup-test-host")
	}
	for b.Loop() {
		l := newLibvirtd(b)
		w := newWorld(b)
		r := w.start(identity.Registry, "registry", "")
		w.start(identity.Agent, "kvm", fmt.Sprintf("driver = \"libvirt\"\nlibvirt_socket = %q\nlibvirt_pool_path = %q\naccelerator = \"tcg\"\nreserve_memory_mib = 0\n",
			l.socket, filepath.Join(l.dir, "pool")))
		c := r.whole(1)
		guest := filepath.Join(l.dir, "guest")
		l.script("tiny-guest", guest)
		r.cli("image", "import", "--name", "debian", "--host", "kvm", "--cmdline", "console=ttyS0 quiet no_timer_check",
			"--kernel", filepath.Join(guest, "vmlinuz"), "--initrd", filepath.Join(guest, "initrd"))
		accepted, err := c.CreateInstance(b.Context(), fleet.Create{Name: "guest", Flavor: "nano", Image: "debian"}, client.CreateOptions{Wait: patience})
		must(b, err)
		d := domain{b: b, world: w, libvirtd: l, client: c, id: accepted.Instance.ID}
		d.stop()

		var with, bare, connect, added []time.Duration
		for range starts {
			through := d.startThroughRegistry()
			d.stop()
			virsh := timed(func() { l.virsh("start", d.id.String()) })
			d.stop()
			connecting := timed(func() { l.virsh("domstate", d.id.String()) })
			with, bare, connect = append(with, through), append(bare, virsh), append(connect, connecting)
			added = append(added, through-virsh)
		}
		report(b, "start through the registry p50", milliseconds(quantile(with, 0.5)), "ms")
		report(b, "virsh start p50", milliseconds(quantile(bare, 0.5)), "ms")
		report(b, "of which virsh and its connection p50", milliseconds(quantile(connect, 0.5)), "ms")
		report(b, "added over virsh start p50", milliseconds(quantile(added, 0.5)), "ms")
	}
}

func timed(do func()) time.Duration {
	began := time.Now()
	do()
	return time.Since(began)
}

// domain is one real machine.
type domain struct {
	b        *testing.B
	world    *world
	libvirtd *libvirtd
	client   *client.Client
	id       fleet.InstanceID
}

func (d *domain) startThroughRegistry() time.Duration {
	d.b.Helper()
	return timed(func() {
		done, err := d.client.ActInstance(d.b.Context(), d.id, fleet.Start, client.ActOptions{Wait: patience})
		must(d.b, err)
		if row := done.Instance; row.Power != fleet.PowerRunning || row.Task != fleet.TaskNone || row.Fault != "" {
			d.b.Fatalf("started, and it is %q, task %q, fault %q", row.Power, row.Task, row.Fault)
		}
	})
}

// stop pulls the plug, at the host, and waits until the registry shows it.
func (d *domain) stop() {
	d.b.Helper()
	d.libvirtd.virsh("destroy", d.id.String())
	d.world.until("the guest is seen to be stopped", func(ctx context.Context) error {
		row, err := d.client.Instance(ctx, d.id)
		if err == nil && (row.Power != fleet.PowerStopped || row.Task != fleet.TaskNone) {
			err = fmt.Errorf("it is %q, task %q", row.Power, row.Task)
		}
		return err
	})
}

// libvirtd is a real one, in namespaces of its own.
type libvirtd struct {
	b           *testing.B
	dir, socket string
}

func newLibvirtd(b *testing.B) *libvirtd {
	b.Helper()
	dir := b.TempDir()
	l := &libvirtd{b: b, dir: dir}
	b.Cleanup(func() { l.script("private-libvirtd", "stop", dir) })
	l.socket = strings.TrimSpace(l.script("private-libvirtd", "start", dir))
	return l
}

func (l *libvirtd) script(name string, args ...string) string {
	l.b.Helper()
	cmd := exec.Command(filepath.Join(scripts, name), args...)
	var problems strings.Builder
	cmd.Stderr = &problems
	out, err := cmd.Output()
	if err != nil {
		l.b.Fatalf("%s %s: %v: %s", name, strings.Join(args, " "), err, problems.String())
	}
	return string(out)
}

// virsh is what a person types at the host.
func (l *libvirtd) virsh(args ...string) {
	l.b.Helper()
	cmd := exec.Command("virsh", append([]string{"-q", "-c", "qemu+unix:///system?socket=" + l.socket}, args...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		l.b.Fatalf("virsh %s: %v: %s", strings.Join(args, " "), err, out)
	}
}
