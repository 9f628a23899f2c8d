package xenlab

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"grapevine/test/built"
)

// What QEMU inherits, by number.
const (
	memoryFD  = 3 // the saved memory
	monitorFD = 4 // a socket to us
)

// boot starts QEMU, waiting to be told to go on from the saved memory, on a
// disk of the test's own over the saved one. QEMU ends with the test, and with
// the test process however that ends.
func boot(tb testing.TB, dir string) *monitor {
	tb.Helper()
	own := tb.TempDir()
	disk := filepath.Join(own, "disk")
	overlay := exec.CommandContext(tb.Context(), "qemu-img", "create", "-q", "-f", "qcow2", "-b", filepath.Join(dir, "disk"), "-F", "raw", disk)
	if out, err := overlay.CombinedOutput(); err != nil {
		tb.Fatalf("make a disk for the Xen host: %v: %s", err, out)
	}
	machine, err := os.ReadFile(filepath.Join(dir, "machine"))
	if err != nil {
		tb.Fatal(err)
	}
	args := append(strings.Split(strings.TrimSpace(string(machine)), "\n"),
		"-drive", "id=disk,if=none,format=qcow2,cache=unsafe,discard=unmap,file="+disk,
		"-chardev", "file,id=serial,path="+filepath.Join(own, "serial.log"),
		"-chardev", fmt.Sprintf("socket,id=monitor,fd=%d", monitorFD), "-mon", "chardev=monitor,mode=control",
		"-incoming", "defer")
	memory, err := os.Open(filepath.Join(dir, "memory"))
	if err != nil {
		tb.Fatal(err)
	}
	defer memory.Close()
	ours, theirs, err := pair()
	if err != nil {
		tb.Fatal(err)
	}
	defer theirs.Close()
	tb.Cleanup(func() { _ = ours.Close() })
	cmd := exec.Command("qemu-system-x86_64", args...) //nolint:noctx // it ends with the test, when nobody needs it any more
	cmd.Dir = dir                                      // the machine's files are named as they are there
	cmd.ExtraFiles = []*os.File{memory, theirs}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	built.Start(tb, cmd, "the Xen host's QEMU", filepath.Join(own, "qemu.log"))
	return newMonitor(ours)
}

// pair returns the two ends of a connection, the second one for a process to
// inherit.
func pair() (net.Conn, *os.File, error) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("make a pair of sockets: %w", err)
	}
	near, far := os.NewFile(uintptr(fds[0]), "monitor"), os.NewFile(uintptr(fds[1]), "monitor")
	defer near.Close()
	conn, err := net.FileConn(near) // works on a copy
	if err != nil {
		_ = far.Close()
		return nil, nil, fmt.Errorf("use a pair of sockets: %w", err)
	}
	return conn, far, nil
}
