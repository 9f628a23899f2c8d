package e2e

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"grapevine/fleet"
)

// An instance is carried away in one file and brought back on a host of another
// kind, with what was on its disk; a damaged file, and the same one twice, make
// nothing. What broke off goes on.
func TestInstanceIsCarriedAwayAndBroughtBack(t *testing.T) {
	w := newWorld(t)
	first := w.agent("sim-1", 4096, "")
	w.agent("sim-2", 4096, "simulated_hypervisor = \"xen\"\n")
	registry := w.registry("reg-1")
	disk, id := w.diskFile("disk.raw", 5)
	registry.do("image", "import", "--name", "base", "--disk", disk, "--host", "sim-1")
	registry.holders(id, first)
	row := registry.create("--name", "web", "--flavor", "micro", "--image", "base", "--host", "sim-1", "--label", "tier=front")
	file := w.path("web.grapevine")
	_, stderr, code := registry.cli("instance", "export", "web", "--file", file)
	if code != 1 || !strings.Contains(stderr, "grapevine instance stop "+row.ID.String()) {
		t.Errorf("export of a running instance: exit code %d: %s", code, stderr)
	}
	registry.do("instance", "stop", "web", "--force", "--wait", "80s")

	// Whole, and then once more from its beginning.
	said := registry.do("instance", "export", "web", "--file", file)
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(content)
	if !strings.Contains(said, hex.EncodeToString(sum[:])) {
		t.Errorf("it said %q, and the sha256 is %x", said, sum)
	}
	if base, err := os.ReadFile(disk); err != nil || !bytes.Contains(content, base) {
		t.Errorf("the disk is not in the file (%v)", err)
	}
	again := w.path("again.grapevine")
	if err := os.WriteFile(again+".part", content[:2<<20], 0o600); err != nil {
		t.Fatal(err)
	}
	_, stderr, code = registry.cli("instance", "export", "web", "--file", again)
	if same, err := os.ReadFile(again); code != 0 || err != nil || !bytes.Equal(same, content) || !strings.Contains(stderr, "going on after 2 of 5 MiB") {
		t.Errorf("gone on: exit code %d, %v: %s", code, err, stderr)
	}

	damaged := bytes.Clone(content)
	damaged[3<<20] ^= 1
	bad := w.path("bad.grapevine")
	if err := os.WriteFile(bad, damaged, 0o600); err != nil {
		t.Fatal(err)
	}
	_, stderr, code = registry.cli("instance", "import", bad, "--name", "web-2")
	if code != 1 || !strings.Contains(stderr, "the file is damaged: the sha256 of disk-0.raw is") {
		t.Errorf("a damaged file: exit code %d: %s", code, stderr)
	}

	var made fleet.Accepted
	for range 2 { // under one name it is one instance
		out := registry.do("instance", "import", file, "--name", "web-2", "--host", "sim-2", "--wait", "80s", "-o", "json")
		if err := json.Unmarshal([]byte(out), &made); err != nil {
			t.Fatal(err)
		}
	}
	back, ok := registry.instance(made.Instance.ID)
	if !ok || back.HostName != "sim-2" || back.Flavor != "micro" || back.Labels["tier"] != "front" || back.Power != fleet.PowerRunning {
		t.Errorf("brought back as %+v", back)
	}
	if list := registry.instances(); len(list.Items) != 2 {
		t.Errorf("%d instances, want web and web-2", len(list.Items))
	}
	registry.do("instance", "stop", "web-2", "--force", "--wait", "80s")
	twice := w.path("web-2.grapevine")
	registry.do("instance", "export", "web-2", "--file", twice)
	if second, err := os.ReadFile(twice); err != nil || !bytes.Contains(second, content[1<<20:4<<20]) {
		t.Errorf("its disk holds something else (%v)", err)
	}

	// And a clone, beside it, with the same on its disk.
	registry.do("instance", "clone", "web-2", "--name", "web-3", "--wait", "80s")
	registry.do("instance", "stop", "web-3", "--force", "--wait", "80s")
	captured := registry.do("instance", "capture", "web-3", "--image-name", "golden", "--wait", "80s")
	if !strings.Contains(captured, id) {
		t.Errorf("the image of the clone is not that of its disk, %s: %s", id, captured)
	}
}
