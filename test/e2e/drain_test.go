package e2e

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"grapevine/fleet"
)

// A host is emptied from a registry; its agent is killed in the middle and goes
// on, and what was stopped comes back.
func TestDrainedHostIsEmptyAndComesBackAsItWas(t *testing.T) {
	w := newWorld(t)
	host := w.agent("sim-1", 4096, "")
	registry := w.registry("registry-1")
	w.complete([]*node{host, registry}, 1)
	registry.importTiny()
	var rows []fleet.Instance
	for i := range 3 {
		rows = append(rows, registry.create("--name", fmt.Sprintf("web-%d", i), "--flavor", "nano", "--image", "tiny"))
	}
	registry.do("instance", "stop", rows[2].ID.String(), "--wait", "60s")

	registry.cli("host", "drain", "sim-1", "--stop", "--yes", "--wait", "1ms") // begun, and not waited for
	host.kill()
	host.start()
	w.until("no machine remains", func() error {
		if _, stderr, code := registry.cli("host", "drain", "sim-1", "--stop", "--yes"); code != 0 {
			return errors.New(stderr)
		}
		return nil
	})
	if _, stderr, code := registry.cli("instance", "create", "--name", "late", "--flavor", "nano", "--image", "tiny"); code != 1 {
		t.Errorf("a create at a draining host: exit code %d: %s", code, stderr)
	}
	registry.do("host", "undrain", "sim-1", "--wait", "60s")
	for _, row := range rows[:2] {
		w.seen("it running again", row.ID, []*node{registry}, has(fleet.PowerRunning))
	}
	if out := registry.do("verify"); !strings.Contains(out, "all adds up") {
		t.Errorf("verify says %s", out)
	}
	w.seen("it stopped as before", rows[2].ID, []*node{registry}, has(fleet.PowerStopped))
}
