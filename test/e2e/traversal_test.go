package e2e

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"grapevine/fleet"
)

// escape is in every name below, and in no other.
const escape = "vine-escape"

// upward is a name that leads out of whatever folder it is put behind.
const upward = "../../../../../../../../tmp/" + escape

// Names that people give are names: whatever is in them, no file is made, read
// or removed elsewhere than where files of that kind lie.
func TestNamesLeadOutOfNoFolder(t *testing.T) {
	real := newLibvirtd(t)
	w := newWorld(t)
	host := w.newNode("agent", "kvm-1", fmt.Sprintf("driver = \"libvirt\"\nlibvirt_socket = %q\nlibvirt_pool_path = %q\naccelerator = \"tcg\"\n",
		real.socket, filepath.Join(real.dir, "pool")))
	host.start()
	w.complete([]*node{host}, 1)
	disk := w.path("disk.raw")
	if err := os.WriteFile(disk, []byte(strings.Repeat("disk", 128)), 0o600); err != nil {
		t.Fatal(err)
	}
	host.cli("image", "import", "--name", upward, "--disk", disk, "--format", "raw")
	for _, verb := range [][]string{
		{"create", "--name", upward, "--flavor", "nano", "--image", upward, "--hostname", escape},
		{"snapshot", "create", upward, upward},
		{"snapshot", "revert", upward, upward},
		{"snapshot", "delete", upward, upward},
		{"stop", upward, "--force"},
		{"capture", upward, "--image-name", upward + "-captured"},
		{"clone", upward, "--name", upward + "-clone"},
	} {
		host.cli(append(append([]string{"instance"}, verb...), "--wait", "60s")...) // it may be refused
	}
	if list := host.instances(); len(list.Items) != 2 {
		t.Errorf("%d instances have such a name, want the one that was made, and its clone", len(list.Items))
	}
	host.refusesPaths()
	nothingEscaped(t, w, real)
	for _, row := range host.instances().Items {
		host.do("instance", "delete", row.ID.String(), "--wait", "60s")
	}
	for _, im := range decode[fleet.List[fleet.Image]](t, host.do("image", "list", "-o", "json")).Items {
		host.do("image", "delete", im.ID)
	}
	nothingEscaped(t, w, real)
	if left := real.domains(); len(left) != 0 {
		t.Errorf("left are %v", left)
	}
}

// refusesPaths asks for things by ids that are paths, as a person's client does
// not. None is found, and none shows a file.
func (n *node) refusesPaths() {
	n.w.t.Helper()
	climb := strings.Repeat("..%2f", 12)
	for _, c := range []struct{ method, path, body string }{
		{"GET", "/v1/images/" + climb + "etc%2fpasswd", ""},
		{"GET", "/v1/images/" + climb + "etc%2fpasswd/files/disk", ""},
		{"GET", "/v1/images/" + climb + "etc%2fpasswd/upload", ""},
		{"GET", "/../../../../../../../etc/passwd", ""},
		{"GET", "/v1/../../../../../../../etc/passwd", ""},
		{"GET", "/v1/instances/" + climb + "etc%2fpasswd/log", ""},
		{"DELETE", "/v1/images/" + climb + strings.ReplaceAll(n.w.path("ca", "ca.pem")[1:], "/", "%2f"), ""},
		{"POST", "/v1/images/" + climb + "tmp%2f" + escape + "/upload", `{"id":"../../` + escape + `","name":"x","bytes":1,"files":[{"role":"disk","sha256":"../../` + escape + `","bytes":1}]}`},
		{"POST", "/v1/images/" + strings.Repeat("a", 64) + "/upload", `{"id":"` + strings.Repeat("a", 64) + `","name":"x","bytes":1,"files":[{"role":"../` + escape + `","sha256":"` + strings.Repeat("a", 64) + `","bytes":1}]}`},
	} {
		args := append(n.curl(), "--path-as-is", "--request", c.method, "--write-out", "\n%{http_code}")
		if c.body != "" {
			args = append(args, "--header", "Content-Type: application/json", "--data-binary", c.body)
		}
		out, _ := exec.Command("curl", append(args, n.addr()+c.path)...).Output()
		answer, status := cutLast(string(out))
		if !strings.HasPrefix(status, "4") || strings.Contains(answer, "root:") {
			n.w.t.Errorf("%s %s is answered %s: %.300s", c.method, c.path, status, answer)
		}
	}
}

// nothingEscaped fails if a file with such a name lies where libvirt keeps none
// by the names of domains, or if what was there is not there any more.
func nothingEscaped(t *testing.T, w *world, real *libvirtd) {
	t.Helper()
	byName := []string{filepath.Join(real.dir, "etc", "qemu"), filepath.Join(real.dir, "log", "qemu"), filepath.Join(real.dir, "lib", "qemu"), filepath.Join(real.dir, "run", "qemu")}
	for _, root := range []string{w.dir, real.dir} {
		err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.Contains(filepath.Base(path), escape) {
				return nil //nolint:nilerr // sockets and logs come and go
			}
			for _, dir := range byName {
				if strings.HasPrefix(path, dir+"/") {
					return nil
				}
			}
			return fmt.Errorf("%s is there", path)
		})
		if err != nil {
			t.Error(err)
		}
	}
	for dir := w.dir; ; dir = filepath.Dir(dir) {
		if found, _ := filepath.Glob(filepath.Join(dir, "*"+escape+"*")); len(found) > 0 {
			t.Errorf("there are %v", found)
		}
		if dir == "/" {
			break
		}
	}
	if _, err := os.Stat(w.path("ca", "ca.pem")); err != nil {
		t.Error(err)
	}
}
