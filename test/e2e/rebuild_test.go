package e2e

import (
	"os"
	"strings"
	"testing"

	"grapevine/fleet"
)

// An instance is made anew from an image that only another host holds, and is
// the same instance: its id, name, host, addresses and disks are what they were.
func TestInstanceIsRebuiltFromAnImageThatAnotherHostHolds(t *testing.T) {
	w, agents, registries := fleetOfThree(t)
	first, second := registries[0], registries[1]
	oldPath, oldID := w.diskFile("old.raw", 1)
	newPath, newID := w.diskFile("new.raw", 3)
	first.do("image", "import", "--name", "old", "--disk", oldPath, "--host", "sim-1")
	first.do("image", "import", "--name", "new", "--disk", newPath, "--host", "sim-3")
	second.holders(newID, agents[2])
	second.holders(oldID, agents[0])
	row := first.create("--name", "web", "--flavor", "nano", "--image", "old", "--host", "sim-1", "--disk", "2")
	devices := first.do("instance", "device", "list", "web", "-o", "json")

	first.do("instance", "snapshot", "create", "web", "clean", "--wait", "80s")
	_, stderr, code := second.cli("instance", "rebuild", "web", "--image", "new")
	if code != 1 || !strings.Contains(stderr, "snapshots") || !strings.Contains(stderr, "delete them first") {
		t.Errorf("with a snapshot: exit code %d, %s", code, stderr)
	}
	first.do("instance", "snapshot", "delete", "web", "clean", "--wait", "80s")

	userData := w.path("user-data")
	if err := os.WriteFile(userData, []byte("#cloud-config\n{}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	second.do("instance", "rebuild", "web", "--image", "new", "--user-data", userData, "--key", "again-1", "--wait", "80s")
	w.seen("it running from the new image", row.ID, []*node{first, second, agents[0], agents[1], agents[2]}, func(now fleet.Instance) bool {
		return now.Image == newID && now.Power == fleet.PowerRunning && now.Task == fleet.TaskNone && now.Fault == "" &&
			now.Name == row.Name && now.Host == row.Host && now.DiskGiB == row.DiskGiB && now.MemoryMiB == row.MemoryMiB
	})
	w.until("the guest came up from the new disk", func() error { return logged(second, row.ID, "image  "+newID, 1) })
	if now := first.do("instance", "device", "list", "web", "-o", "json"); now != devices {
		t.Errorf("its devices are %s, want %s", now, devices)
	}
	first.holders(newID, agents[0], agents[2])

	// The same key is the same rebuild, also at another registry.
	first.do("instance", "rebuild", "web", "--image", "new", "--user-data", userData, "--key", "again-1", "--wait", "80s")
	if err := logged(second, row.ID, "image  "+newID, 2); err == nil {
		t.Error("what was asked for twice with one key was done twice")
	}

	// Rescued, it boots the other image with its own disk attached, and is what it
	// was afterwards.
	second.do("instance", "rescue", "web", "--image", "old", "--wait", "80s")
	w.until("the guest came up from the rescue", func() error { return logged(first, row.ID, "image  "+oldID, 2) })
	w.seen("it rescued", row.ID, []*node{first, second}, func(now fleet.Instance) bool { return now.Rescue == oldID && now.Image == newID })
	if _, stderr, code := first.cli("instance", "rebuild", "web"); code != 1 || !strings.Contains(stderr, "unrescue") {
		t.Errorf("rebuild of a rescued instance: exit code %d, %s", code, stderr)
	}
	first.do("instance", "unrescue", "web", "--wait", "80s")
	w.seen("it as it was", row.ID, []*node{first, second}, func(now fleet.Instance) bool { return now.Rescue == "" && now.Power == fleet.PowerRunning })
	first.do("image", "delete", "old")
	first.do("instance", "delete", "web", "--wait", "80s")
	w.gone(row.ID, []*node{first, second})
}
