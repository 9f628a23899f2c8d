package xenlab_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"grapevine/drivers"
	"grapevine/fleet"
)

// keptLog is the bound in this test, in place of MiBs.
const keptLog = 4096

// bound installs what bounds console logs, to be run when the test says so.
func (b *bench) bound(t *testing.T) {
	t.Helper()
	for from, to := range map[string]string{
		"xen-consoles.logrotate":         "/usr/local/share/grapevine",
		"grapevine-xen-consoles.service": "/etc/systemd/system",
	} {
		text, err := os.ReadFile("../../systemd/" + from)
		must(t, err)
		said := strings.Replace(string(text), "size 2M", fmt.Sprintf("size %d", keptLog), 1)
		_, err = b.host.Shell(t.Context(), fmt.Sprintf("mkdir -p %s && cat >%s/%s <<'END'\n%s\nEND", to, to, from, said))
		must(t, err)
	}
	_, err := b.host.Shell(t.Context(), "systemctl daemon-reload")
	must(t, err)
}

// rotate lets the unit look after the logs, and returns what a log has now in
// the file that is written to.
func (b *bench) rotate(t *testing.T, file string) int {
	t.Helper()
	said, err := b.host.Shell(t.Context(), "systemctl start grapevine-xen-consoles && stat -c %s "+file)
	must(t, err)
	size, err := strconv.Atoi(strings.TrimSpace(said))
	must(t, err)
	return size
}

// prints adds to a log what a guest could have printed.
func (b *bench) prints(t *testing.T, file, mark string) {
	t.Helper()
	_, err := b.host.Shell(t.Context(), fmt.Sprintf("{ yes %s | head -n %d; } >>%s", mark, keptLog/len(mark), file))
	must(t, err)
}

func (b *bench) boundedLogs(t *testing.T) {
	b.bound(t)
	guest := tinyGuest(t)
	guest.image.Cmdline = "console=hvc0" // its kernel prints more than is kept
	guest.image.ID = fleet.ImageID(guest.image.Files, guest.image.Cmdline)
	id := b.build(t, guest.image, guest.content, fleet.Resources{VCPUs: 1, MemoryMiB: 96})
	m, err := b.d.Inspect(t.Context(), id)
	must(t, err)
	file := "/var/log/xen/console/guest-" + m.Name + ".log"
	follower := b.follow(t, id)
	must(t, b.d.Act(t.Context(), id, fleet.Start, drivers.ActOptions{}))
	b.says(t, id, "tiny-guest: up", 1)
	if size := b.rotate(t, file); size > keptLog {
		t.Fatalf("%d bytes are left where the guest prints to, want at most %d", size, keptLog)
	}
	b.says(t, id, "tiny-guest: up", 1) // it was moved aside, and is shown
	must(t, b.d.Act(t.Context(), id, fleet.Stop, drivers.ActOptions{Grace: patience}))
	b.says(t, id, "tiny-guest: power button", 1)
	for i := range 4 {
		mark := fmt.Sprintf("mark-%d", i)
		b.prints(t, file, mark)
		follower.until(t, mark)
		b.rotate(t, file)
	}
	if log := b.log(t, id); len(log) > 4*2*keptLog || strings.Contains(log, "tiny-guest: up") || !strings.Contains(log, "mark-3") {
		t.Errorf("the log has %d bytes: %.200q", len(log), log)
	}
	must(t, b.d.Delete(t.Context(), id))
	if said := follower.ended(t); !strings.Contains(said, "tiny-guest: up") || !strings.Contains(said, "power button") {
		t.Errorf("the follower has missed something: %.500q", said)
	}
	if left, err := b.host.Shell(t.Context(), "ls "+file+"*"); err == nil {
		t.Errorf("the machine is deleted, and left %s", left)
	}
}

// A PC's serial port is recorded by its QEMU.
func (b *bench) boundedSerial(t *testing.T) {
	b.bound(t)
	id := b.bootSector(t)
	file := "/var/lib/libvirt/images/grapevine/console-" + id.String() + ".log"
	must(t, b.d.Act(t.Context(), id, fleet.Start, drivers.ActOptions{}))
	b.says(t, id, "a disk has booted", 1)
	b.prints(t, file, "noise")
	if size := b.rotate(t, file); size != 0 {
		t.Errorf("%d bytes are left where the guest prints to, want none", size)
	}
	must(t, b.d.Act(t.Context(), id, fleet.Reboot, drivers.ActOptions{}))
	b.says(t, id, "a disk has booted", 2) // it was not begun anew
	must(t, b.d.Delete(t.Context(), id))
	if left, err := b.host.Shell(t.Context(), "ls "+file+"*"); err == nil {
		t.Errorf("the machine is deleted, and left %s", left)
	}
}

// log is what is kept of a machine's console.
func (b *bench) log(t *testing.T, id fleet.InstanceID) string {
	t.Helper()
	r, err := b.d.ConsoleLog(t.Context(), id, fleet.LogRange{})
	must(t, err)
	defer r.Close()
	all, err := io.ReadAll(r)
	must(t, err)
	return string(all)
}

// follower reads a followed log to its end.
type follower struct {
	mu   sync.Mutex
	said strings.Builder
	end  chan error
}

func (b *bench) follow(t *testing.T, id fleet.InstanceID) *follower {
	t.Helper()
	r, err := b.d.ConsoleLog(t.Context(), id, fleet.LogRange{Follow: true})
	must(t, err)
	f := &follower{end: make(chan error, 1)}
	go func() {
		_, err := io.Copy(f, r)
		f.end <- errors.Join(err, r.Close())
	}()
	return f
}

// Write implements io.Writer.
func (f *follower) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.said.Write(p)
}

func (f *follower) text() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.said.String()
}

// until waits until the follower has read this.
func (f *follower) until(t *testing.T, text string) {
	t.Helper()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	late := time.After(patience)
	for !strings.Contains(f.text(), text) {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("the follower has no %q within %s", text, patience)
		}
	}
}

// ended is all that the follower has read, once the log has ended.
func (f *follower) ended(t *testing.T) string {
	t.Helper()
	select {
	case err := <-f.end:
		must(t, err)
	case <-time.After(patience):
		t.Fatal("the followed log goes on after its machine is gone")
	}
	return f.text()
}
