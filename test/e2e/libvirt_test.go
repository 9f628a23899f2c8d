package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"grapevine/fleet"
	"grapevine/internal/leaveout"
)

// libvirtd is a real one, in namespaces of its own.
type libvirtd struct {
	t      *testing.T
	dir    string
	socket string
}

const scripts = "../../scripts"

// newLibvirtd starts one for the test. Where there is none the test is left
// out, which CI does not allow.
func newLibvirtd(t *testing.T) *libvirtd {
	t.Helper()
	if _, err := exec.LookPath("libvirtd"); err != nil || os.Getuid() != 0 {
		leaveout.Test(t, "a real libvirtd needs root, and libvirt")
	}
	dir, err := os.MkdirTemp("", "gv-libvirt-") //nolint:usetesting // t.TempDir is too long for a unix socket
	if err != nil {
		t.Fatal(err)
	}
	l := &libvirtd{t: t, dir: dir}
	t.Cleanup(func() {
		l.script("private-libvirtd", "stop", dir)
		os.RemoveAll(dir)
	})
	l.start()
	return l
}

func (l *libvirtd) start() {
	l.t.Helper()
	l.socket = strings.TrimSpace(l.script("private-libvirtd", "start", l.dir))
}

// halt stops libvirtd; its machines go on.
func (l *libvirtd) halt() {
	l.t.Helper()
	l.script("private-libvirtd", "halt", l.dir)
}

func (l *libvirtd) script(name string, args ...string) string {
	l.t.Helper()
	cmd := exec.Command(filepath.Join(scripts, name), args...)
	var problems strings.Builder
	cmd.Stderr = &problems
	out, err := cmd.Output()
	if err != nil {
		l.t.Fatalf("%s %s: %v: %s", name, strings.Join(args, " "), err, problems.String())
	}
	return string(out)
}

// virsh is what a person types at the host.
func (l *libvirtd) virsh(args ...string) string {
	l.t.Helper()
	cmd := exec.Command("virsh", append([]string{"-q", "-c", "qemu+unix:///system?socket=" + l.socket}, args...)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		l.t.Fatalf("virsh %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// domains returns the names of all domains of this host.
func (l *libvirtd) domains() []string {
	l.t.Helper()
	return strings.Fields(l.virsh("list", "--all", "--name"))
}

// byHand defines and starts a domain that Grapevine did not make.
func (l *libvirtd) byHand(name string, memoryMiB int) fleet.InstanceID {
	l.t.Helper()
	guest := l.guest()
	id := newID()
	xml := fmt.Sprintf(`<domain type='qemu'><name>%s</name><uuid>%s</uuid><memory unit='MiB'>%d</memory><vcpu>1</vcpu>
<os><type arch='x86_64'>hvm</type><kernel>%s/vmlinuz</kernel><initrd>%s/initrd</initrd><cmdline>console=ttyS0 quiet no_timer_check</cmdline></os>
<features><acpi/></features><devices><serial type='pty'/></devices></domain>`, name, id, memoryMiB, guest, guest)
	file := filepath.Join(l.dir, name+".xml")
	if err := os.WriteFile(file, []byte(xml), 0o600); err != nil {
		l.t.Fatal(err)
	}
	l.virsh("define", file)
	l.virsh("start", name)
	parsed, err := fleet.ParseUUID(id)
	if err != nil {
		l.t.Fatal(err)
	}
	return parsed
}

// guest returns a folder with a kernel and an initrd that boot in seconds.
func (l *libvirtd) guest() string {
	l.t.Helper()
	dir := filepath.Join(l.dir, "guest")
	l.script("tiny-guest", dir)
	return dir
}

// fleetOnLibvirt is three agents, the first of them on real libvirt, and two
// registries.
func fleetOnLibvirt(t *testing.T) (w *world, real *libvirtd, agents, registries []*node) {
	t.Helper()
	real = newLibvirtd(t)
	w = newWorld(t)
	kvm := w.newNode("agent", "kvm-1", fmt.Sprintf("driver = \"libvirt\"\nlibvirt_socket = %q\nlibvirt_pool_path = %q\naccelerator = \"tcg\"\nstop_grace = \"30s\"\n",
		real.socket, filepath.Join(real.dir, "pool")))
	kvm.start()
	agents = []*node{kvm, w.agent("sim-1", 8192, ""), w.agent("sim-2", 8192, "")}
	registries = []*node{w.registry("registry-1"), w.registry("registry-2")}
	w.complete(append(agents, registries...), 3)
	return w, real, agents, registries
}

// complete waits until each node has heard all hosts.
func (w *world) complete(nodes []*node, hosts int) {
	w.t.Helper()
	for _, n := range nodes {
		w.until(n.name+" has heard all hosts", func() error {
			list := n.hosts()
			if list.Coverage != (fleet.Coverage{Heard: hosts, Known: hosts}) {
				return fmt.Errorf("its coverage is %+v", list.Coverage)
			}
			return nil
		})
	}
}
