package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"grapevine/fleet"
)

// diskFile writes a raw disk of so many MiB and returns its path and digest.
func (w *world) diskFile(name string, mib int) (path, digest string) {
	w.t.Helper()
	content := make([]byte, mib<<20)
	for i := range content {
		content[i] = byte(i>>9) ^ byte(i*7)
	}
	path = w.path(name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		w.t.Fatal(err)
	}
	sum := sha256.Sum256(content)
	return path, hex.EncodeToString(sum[:])
}

// holders waits until the node lists these hosts, and no others, as those that
// hold the image.
func (n *node) holders(image string, want ...*node) {
	n.w.t.Helper()
	var ids []string
	for _, holder := range want {
		ids = append(ids, holder.id)
	}
	slices.Sort(ids)
	n.w.until(fmt.Sprintf("%s lists %d holders", n.name, len(want)), func() error {
		list := decode[fleet.List[fleet.Image]](n.w.t, n.do("image", "list", "-o", "json"))
		var got []string
		for _, im := range list.Items {
			if im.ID == image {
				for _, host := range im.Hosts {
					got = append(got, host.String())
				}
			}
		}
		slices.Sort(got)
		if !slices.Equal(got, ids) {
			return fmt.Errorf("it lists %v, want %v", got, ids)
		}
		return nil
	})
}

// digest is that of an image's disk as the host's agent gives it.
func (n *node) digest(image string) string {
	n.w.t.Helper()
	content, err := exec.Command("curl", append(n.curl(), n.addr()+"/v1/images/"+image+"/files/disk")...).Output()
	if err != nil {
		n.w.t.Fatal(err)
	}
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

// An image that one host was given gets to the others when they need it.
func TestImageGoesFromHostToHost(t *testing.T) {
	w, agents, registries := fleetOfThree(t)
	path, id := w.diskFile("disk.raw", 40)
	registries[0].do("image", "import", "--name", "big", "--disk", path, "--host", "sim-1")
	registries[1].holders(id, agents[0])
	registries[1].create("--name", "on-2", "--flavor", "nano", "--image", "big", "--host", "sim-2")
	registries[0].holders(id, agents[0], agents[1])
	row := registries[0].create("--name", "on-3", "--flavor", "nano", "--image", "big", "--host", "sim-3")
	if row.Power != fleet.PowerRunning || row.Fault != "" || row.HostName != "sim-3" {
		t.Errorf("the row is %+v, want it running on sim-3", row)
	}
	registries[1].holders(id, agents...)
	for _, a := range agents {
		if got := a.digest(id); got != id {
			t.Errorf("the copy of %s has the sha256 %s, want %s", a.name, got, id)
		}
	}
}

// An image is deleted where no instance needs it, and can be fetched again.
func TestImageIsDeletedWhereNobodyNeedsIt(t *testing.T) {
	_, agents, registries := fleetOfThree(t)
	registries[0].importTiny()
	list := decode[fleet.List[fleet.Image]](t, registries[0].do("image", "list", "-o", "json"))
	id := list.Items[0].ID
	registries[0].create("--name", "web", "--flavor", "nano", "--image", "tiny", "--host", "sim-1")
	_, stderr, code := registries[1].cli("image", "delete", "tiny")
	if code != 1 || !strings.Contains(stderr, "host sim-1 keeps it: image "+id[:12]+" is in use at host sim-1 by instance web") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
	registries[0].holders(id, agents[0])
	registries[0].do("instance", "create", "--name", "again", "--flavor", "nano", "--image", "tiny", "--host", "sim-3", "--wait", "80s")
	registries[1].holders(id, agents[0], agents[2])
}
