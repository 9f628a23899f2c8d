package libvirt_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A test that is killed runs no cleanup, and leaves no libvirtd behind: all that
// is open to its process is closed.
func TestPrivateLibvirtdEndsWithWhoHasStartedIt(t *testing.T) {
	l := newLab(t, "file")
	text, err := os.ReadFile(filepath.Join(l.dir, "keeper.pid"))
	if err != nil {
		t.Fatal(err)
	}
	keeper := filepath.Join("/proc", strings.TrimSpace(string(text)))
	if _, err := os.Stat(keeper); err != nil {
		t.Fatalf("it does not run: %v", err)
	}
	if err := l.lifeline.Close(); err != nil {
		t.Fatal(err)
	}
	deadline := time.After(time.Minute)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !isGone(keeper) {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("after a minute it still runs")
		}
	}
	if out, err := command("virsh", "-q", "-c", "qemu+unix:///system?socket="+l.socket, "version"); err == nil {
		t.Errorf("its libvirtd still answers: %s", out)
	}
}

// isGone reports whether the process of this folder of /proc has ended; one that
// nobody waits for has.
func isGone(process string) bool {
	status, err := os.ReadFile(filepath.Join(process, "status"))
	return err != nil || strings.Contains(string(status), "State:\tZ")
}
