package libvirt_test

import (
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"grapevine/drivers/libvirt"
	"grapevine/fleet"
	"grapevine/internal/leaveout"
)

// lab is a private libvirtd for the tests of this package.
type lab struct {
	dir, socket string
	// lifeline is closed with this process, however that ends, and its libvirtd
	// ends with it.
	lifeline *os.File
}

// newLab starts one, in the folder that it is stopped in at the end. Where
// there is no libvirt the test is left out, but not in CI.
func newLab(tb testing.TB, stdio string, options ...string) *lab {
	tb.Helper()
	for _, tool := range []string{"libvirtd", "virtlogd", "virsh", "qemu-system-x86_64"} {
		if !installed(tool) {
			leaveout.Test(tb, tool+" is not installed")
		}
	}
	if os.Geteuid() != 0 {
		leaveout.Test(tb, "a private libvirtd needs root")
	}
	if _, err := command("unshare", "--mount", "--net", "--uts", "--pid", "--fork", "true"); err != nil {
		leaveout.Test(tb, "namespaces cannot be made here")
	}
	dir, err := os.MkdirTemp("", "grapevine-libvirt-") //nolint:usetesting // the test's own folder has too long a name for unix sockets
	if err != nil {
		tb.Fatal(err)
	}
	held, lifeline, err := os.Pipe()
	if err != nil {
		tb.Fatal(err)
	}
	defer held.Close()
	l := &lab{dir: dir, lifeline: lifeline}
	tb.Cleanup(func() {
		defer l.lifeline.Close()
		l.daemon(tb, "stop")
		if err := os.RemoveAll(dir); err != nil {
			tb.Error(err)
		}
	})
	socket, err := commandFrom(held, privateLibvirtd, append([]string{"start", l.dir, "--lifeline", "--stdio", stdio}, options...)...)
	if err != nil {
		tb.Fatal(err)
	}
	l.socket = strings.TrimSpace(socket)
	return l
}

func installed(tool string) bool {
	if _, err := exec.LookPath(tool); err == nil {
		return true
	}
	_, err := os.Stat("/usr/sbin/" + tool)
	return err == nil
}

const privateLibvirtd = "../../scripts/private-libvirtd"

// daemon runs scripts/private-libvirtd on the lab and returns what it prints.
func (l *lab) daemon(tb testing.TB, verb string, options ...string) string {
	tb.Helper()
	return run(tb, privateLibvirtd, append([]string{verb, l.dir}, options...)...)
}

// virsh is a person at the host.
func (l *lab) virsh(tb testing.TB, args ...string) string {
	tb.Helper()
	return run(tb, "virsh", append([]string{"-q", "-c", "qemu+unix:///system?socket=" + l.socket}, args...)...)
}

func run(tb testing.TB, name string, args ...string) string {
	tb.Helper()
	out, err := command(name, args...)
	if err != nil {
		tb.Fatalf("%s %s: %v", name, strings.Join(args, " "), err)
	}
	return out
}

// command runs a program and returns what it prints; what it complains of is
// in the error.
func command(name string, args ...string) (string, error) { return commandFrom(nil, name, args...) }

func commandFrom(input *os.File, name string, args ...string) (string, error) {
	var out, errs strings.Builder
	cmd := exec.Command(name, args...)
	if input != nil {
		cmd.Stdin = input
	}
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%w: %s", err, errs.String())
	}
	return out.String(), nil
}

func randomID() fleet.InstanceID {
	var b [16]byte
	rand.Read(b[:])
	return fleet.NewUUIDv4(b)
}

// open makes a driver on the lab's libvirtd. Guests run under emulation, which
// is there everywhere.
func (l *lab) open(tb testing.TB, change func(*libvirt.Config)) *libvirt.Driver {
	tb.Helper()
	config := libvirt.Config{Socket: l.socket, Accelerator: libvirt.TCG}
	if change != nil {
		change(&config)
	}
	d, err := libvirt.New(config)
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

// pool is the folder of the lab's storage pool.
func (l *lab) pool() string { return filepath.Join(l.dir, "lib", "images", "grapevine") }
