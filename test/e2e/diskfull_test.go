package e2e

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// smallDisk puts a file system of its own, of so many bytes, below a folder.
func (w *world) smallDisk(dir string, bytes int) {
	w.t.Helper()
	if os.Geteuid() != 0 {
		if os.Getenv("CI") == "true" {
			w.t.Fatal("mounting a small disk takes root")
		}
		w.t.Skip("mounting a small disk takes root")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		w.t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d,mode=0700", bytes)); err != nil {
		w.t.Fatalf("mount a small disk: %v", err)
	}
	w.t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
}

// fill takes what is left of a disk, and returns the file that holds it.
func (w *world) fill(dir string) string {
	w.t.Helper()
	path := filepath.Join(dir, "ballast")
	file, err := os.Create(path)
	if err != nil {
		w.t.Fatal(err)
	}
	defer file.Close()
	if _, err := io.Copy(file, zeros{}); !errors.Is(err, syscall.ENOSPC) {
		w.t.Fatalf("filling the disk ended with %v", err)
	}
	return path
}

// zeros never ends.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// TestProof15FullDiskUnderTheJournalRefusesNewWorkAndLosesNone fills the disk
// that an agent's journal is on.
func TestProof15FullDiskUnderTheJournalRefusesNewWorkAndLosesNone(t *testing.T) {
	w := newWorld(t)
	w.smallDisk(w.path("sim-1", "data"), 256<<20)
	a := w.agent("sim-1", 1<<20, "simulated_vcpus = 1000\nsimulated_disk_gib = 100000\n")
	w.complete([]*node{a}, 1)
	a.importTiny()
	a.create("--name", "first", "--flavor", "nano", "--image", "tiny")
	ballast := w.fill(w.path("sim-1", "data"))

	promised := 1
	var refusal string
	for n := 0; refusal == ""; n++ {
		if n == 2000 {
			t.Fatalf("%d creates were promised on a full disk", n)
		}
		_, stderr, code := a.cli("instance", "create", "--name", fmt.Sprint("more-", n), "--flavor", "nano", "--image", "tiny")
		if code == 0 {
			promised++
			continue
		}
		refusal = stderr
	}
	if !strings.Contains(refusal, "no space left") || !strings.Contains(refusal, "journal") {
		t.Errorf("the refusal is %q; it must say that the journal's disk is full", refusal)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	settled := func() error {
		list := a.instances()
		for i := range list.Items {
			if row := &list.Items[i]; row.Task != "" || row.Fault != "" || row.Power != "running" {
				return fmt.Errorf("%s is %s, %s, %s", row.Name, row.Power, row.Task, row.Fault)
			}
		}
		if len(list.Items) != promised {
			return fmt.Errorf("%d instances were promised, and %d are listed", promised, len(list.Items))
		}
		return nil
	}
	w.until("every promise is kept", settled)
	before := inventory(a.instances())
	a.kill()
	a.start()
	w.until("every promise is kept after a kill", settled)
	if diff := cmp.Diff(before, inventory(a.instances())); diff != "" {
		t.Errorf("(-before the kill +after):\n%s", diff)
	}
	a.create("--name", "later", "--flavor", "nano", "--image", "tiny")
	if stdout, stderr, code := a.cli("audit", "verify"); code != 0 || !strings.Contains(stdout, "whole") {
		t.Errorf("the audit log is not whole: %s%s", stdout, stderr)
	}
	// What was refused for want of room is not in it.
	stdout, stderr, code := a.cli("audit", "list", "--limit", "1000", "-o", "json")
	if told := strings.Count(stdout, `"POST /v1/instances"`); code != 0 || promised < 900 && told != promised+1 {
		t.Errorf("%d creates were promised, and the audit log tells of %d (%s)", promised+1, told, stderr)
	}
	t.Logf("%d were promised before the disk was full for the journal too", promised)
}
