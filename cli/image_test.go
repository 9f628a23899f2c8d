package cli

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"grapevine/fleet"
)

// received is what a node received of an upload.
type received struct {
	host     string
	manifest fleet.Image
	content  string
}

// taking is a node that takes uploads, as hosts do.
type taking struct {
	*node
	t    *testing.T
	got  map[string]*received // by host
	fail func(host string) bool
	cut  int // so many parts are cut off after three bytes

	called string // the name that content has had before, empty for none
}

func takingNode(t *testing.T) *taking {
	t.Helper()
	n := &taking{node: fleetNode(t), t: t, got: map[string]*received{}, fail: func(string) bool { return false }}
	n.mux.HandleFunc("POST /v1/images/{id}/upload", func(w http.ResponseWriter, r *http.Request) {
		host := r.URL.Query().Get("host")
		if n.fail(host) {
			reply(w, http.StatusInsufficientStorage, map[string]string{"code": "out_of_space", "detail": "its storage is full"})
			return
		}
		if n.got[host] == nil {
			n.got[host] = &received{host: host}
		}
		if err := json.NewDecoder(r.Body).Decode(&n.got[host].manifest); err != nil {
			t.Error(err)
		}
		reply(w, http.StatusOK, n.state(host))
	})
	n.mux.HandleFunc("PATCH /v1/images/{id}/upload", func(w http.ResponseWriter, r *http.Request) {
		host := r.URL.Query().Get("host")
		content, _ := io.ReadAll(r.Body)
		if got, want := r.Header.Get("Upload-Offset"), strconv.Itoa(len(n.got[host].content)); got != want {
			t.Errorf("part at offset %s, the host has %s", got, want)
		}
		if n.cut > 0 {
			n.cut--
			n.got[host].content += string(content[:3])
			panic(http.ErrAbortHandler)
		}
		n.got[host].content += string(content)
		reply(w, http.StatusOK, n.state(host))
	})
	return n
}

func (n *taking) state(host string) fleet.Upload {
	got := n.got[host]
	id, err := fleet.ParseUUID(host)
	if err != nil {
		n.t.Error(err)
	}
	state := fleet.Upload{Image: got.manifest.ID, Host: id, HaveBytes: int64(len(got.content)), TotalBytes: got.manifest.Bytes}
	if state.HaveBytes == state.TotalBytes {
		stored := got.manifest
		stored.CreatedAt, stored.Name = today, cmp.Or(n.called, stored.Name)
		state.Stored = &stored
	}
	return state
}

func write(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func digest(content string) string {
	sum := sha256.Sum256([]byte(content))
	return hex.EncodeToString(sum[:])
}

func TestImportSendsManifestAndFiles(t *testing.T) {
	n := takingNode(t)
	kernel, initrd := write(t, "vmlinuz", "the kernel"), write(t, "initrd", "the initrd")
	r := run(t, n.URL, "image", "import", "--name", "tiny", "--kernel", kernel, "--initrd", initrd, "--cmdline", "console=ttyS0", "--host", "kvm-1", "--host", "xen-1")
	files := []fleet.ImageFile{
		{Role: fleet.RoleKernel, SHA256: digest("the kernel"), Bytes: 10},
		{Role: fleet.RoleInitrd, SHA256: digest("the initrd"), Bytes: 10},
	}
	imageID := fleet.ImageID(files, "console=ttyS0")
	r.wants(t, 0, "imported tiny ("+imageID+")\n", "")
	if len(n.got) != 2 {
		t.Fatalf("got %d uploads, want 2", len(n.got))
	}
	for _, host := range []fleet.UUID{id(0xa1), id(0xb2)} {
		want := &received{
			host:     host.String(),
			manifest: fleet.Image{ID: imageID, Name: "tiny", Files: files, Cmdline: "console=ttyS0", Bytes: 20},
			content:  "the kernelthe initrd",
		}
		if diff := gocmp.Diff(want, n.got[host.String()], gocmp.AllowUnexported(received{})); diff != "" {
			t.Errorf("upload to %s (-want +got)\n%s", host, diff)
		}
	}
}

func TestUploadThatBreaksOffGoesOnByItself(t *testing.T) {
	n := takingNode(t)
	n.cut = 2
	kernel, initrd := write(t, "vmlinuz", "the kernel"), write(t, "initrd", "the initrd")
	run(t, n.URL, "image", "import", "--name", "tiny", "--kernel", kernel, "--initrd", initrd, "--host", "kvm-1").wants(t, 0, "imported tiny", "")
	if got := n.got[id(0xa1).String()].content; got != "the kernelthe initrd" {
		t.Errorf("the host has %q", got)
	}
	var sent []string
	for _, part := range n.requests(http.MethodPatch) {
		sent = append(sent, part.Body)
	}
	want := []string{"the kernelthe initrd", "kernelthe initrd", "rnelthe initrd"} // without the space before
	if diff := gocmp.Diff(want, sent); diff != "" {
		t.Errorf("parts (-want +got)\n%s", diff)
	}
}

func TestUploadThatAnEarlierRunBeganGoesOn(t *testing.T) {
	n := takingNode(t)
	n.got[id(0xa1).String()] = &received{host: id(0xa1).String(), content: "raw "}
	run(t, n.URL, "image", "import", "--name", "d", "--disk", write(t, "d.img", "raw bytes"), "--host", "kvm-1").
		wants(t, 0, "imported d", "grapevine: going on after 0 of 0 MiB, which the host has from before\n")
	if sent := n.requests(http.MethodPatch); len(sent) != 1 || sent[0].Body != "bytes" {
		t.Errorf("sent %v, want the rest", sent)
	}
}

func TestFileThatChangedWhileItWasSentIsNotGoneOnWith(t *testing.T) {
	disk := write(t, "d.img", "raw bytes")
	s := &source{paths: map[fleet.ImageRole]string{fleet.RoleDisk: disk}}
	im := fleet.Image{Files: []fleet.ImageFile{{Role: fleet.RoleDisk, Bytes: 9}}}
	if err := os.WriteFile(disk, []byte("other bytes"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.from(&im, 3); err == nil || !strings.Contains(err.Error(), "has changed: it is 11 bytes long and was 9; import it again") {
		t.Errorf("got %v", err)
	}
}

func TestImportGoesOnAfterOneHostFailed(t *testing.T) {
	n := takingNode(t)
	n.fail = func(host string) bool { return host == id(0xb2).String() }
	run(t, n.URL, "image", "import", "--name", "d", "--disk", write(t, "d.img", "raw bytes"), "--all-hosts").
		wants(t, 1, "", "grapevine: host xen-1: its storage is full\n")
	if got := n.requests(http.MethodPatch); len(got) != 2 {
		t.Errorf("got %d uploads, want 2", len(got))
	}
}

// qcow2 is the header of a qcow2 file for a disk of size bytes.
func qcow2(version uint32, backing, size uint64) string {
	head := make([]byte, 104)
	copy(head, "QFI\xfb")
	binary.BigEndian.PutUint32(head[4:], version)
	binary.BigEndian.PutUint64(head[8:], backing)
	binary.BigEndian.PutUint64(head[24:], size)
	return string(head)
}

func TestBadImagesAreRefusedBeforeTheUpload(t *testing.T) {
	n := fleetNode(t)
	disk := write(t, "d.qcow2", qcow2(3, 0, 1<<30))
	for _, c := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"nothing to boot", []string{"--name", "a"}, 2, "give --disk, --kernel or --iso"},
		{"a CD and more", []string{"--name", "a", "--iso", "x", "--disk", "y"}, 2, "by itself"},
		{"no name", []string{"--disk", disk}, 2, "--name is missing"},
		{"no file", []string{"--name", "a", "--disk", "/nowhere/d"}, 1, "grapevine: disk /nowhere/d: no such file or directory\n"},
		{"a folder", []string{"--name", "a", "--disk", t.TempDir()}, 1, "is no regular file"},
		{"wrong format", []string{"--name", "a", "--disk", disk, "--format", "raw"}, 1, "has the header of a qcow2 file, and --format says raw"},
		{"empty", []string{"--name", "a", "--disk", write(t, "e", "")}, 1, "it must have content"},
		{"initrd alone", []string{"--name", "a", "--disk", disk, "--initrd", write(t, "i", "x")}, 1, "it has an initrd and no kernel"},
		{"both", []string{"--name", "a", "--disk", disk, "--host", "kvm-1", "--all-hosts"}, 2, "exclude each other"},
	} {
		t.Run(c.name, func(t *testing.T) {
			run(t, n.URL, append([]string{"image", "import"}, c.args...)...).wants(t, c.code, "", c.want)
		})
	}
	if got := n.requests(http.MethodPost); len(got) != 0 {
		t.Errorf("sent %v", got)
	}
}

func TestImageListAndShow(t *testing.T) {
	n := newNode(t)
	im := fleet.Image{
		ID: strings.Repeat("ab", 32), Name: "debian", Bytes: 300 << 20, Hosts: []fleet.HostID{id(1), id(2)},
		Files: []fleet.ImageFile{{Role: fleet.RoleDisk, SHA256: strings.Repeat("ab", 32), Bytes: 300 << 20, Format: "qcow2", VirtualBytes: 2 << 30}},
	}
	n.answer("GET /v1/images", http.StatusOK, fleet.List[fleet.Image]{Items: []fleet.Image{im}})
	n.answer("GET /v1/images/{id}", http.StatusOK, im)
	golden(t, "image-list.golden", run(t, n.URL, "image", "list").out)
	for _, ref := range []string{"debian", "abab", im.ID} {
		golden(t, "image-show.golden", run(t, n.URL, "image", "show", ref).out)
	}
}

func TestImageDeleteSaysWhoKeepsIt(t *testing.T) {
	n := fleetNode(t)
	im := fleet.Image{ID: strings.Repeat("ab", 32), Name: "debian"}
	n.answer("GET /v1/images", http.StatusOK, fleet.List[fleet.Image]{Items: []fleet.Image{im}})
	n.mux.HandleFunc("DELETE /v1/images/{id}", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("host") == "" {
			reply(w, http.StatusOK, fleet.ImageDeletion{Image: im.ID, Removed: []fleet.HostID{id(0xa1)}, Kept: []fleet.ImageKept{{Host: id(0xb2), HostName: "xen-1", Detail: "an instance is built on it"}}})
			return
		}
		reply(w, http.StatusOK, fleet.ImageDeletion{Image: im.ID, Removed: []fleet.HostID{id(0xa1)}})
	})
	run(t, n.URL, "image", "delete", "debian").wants(t, 1, "deleted debian ("+im.ID+") at 1 host\n", "grapevine: host xen-1 keeps it: an instance is built on it\n")
	run(t, n.URL, "image", "delete", "debian", "--host", "kvm-1", "--host", "xen-1").wants(t, 0, "deleted debian ("+im.ID+") at 2 hosts\n", "")
}

func TestImportOfAURLIsWaitedFor(t *testing.T) {
	n := fleetNode(t)
	op := fleet.Operation{ID: fleet.OperationID(id(0xa1), 7), Host: id(0xa1), Verb: fleet.VerbImportImage, State: fleet.OperationRunning}
	n.answer("POST /v1/images/import", http.StatusAccepted, op)
	asked := 0
	n.mux.HandleFunc("GET /v1/operations/{id}", func(w http.ResponseWriter, _ *http.Request) {
		now := op
		now.Progress = &fleet.Progress{DoneBytes: 1 << 20, TotalBytes: 8 << 20}
		if asked++; asked > 1 {
			now.State, now.Image, now.Progress = fleet.OperationSucceeded, strings.Repeat("ab", 32), nil
		}
		reply(w, http.StatusOK, now)
	})
	const url = "https://example.org/d.qcow2"
	run(t, n.URL, "image", "import", url, "--name", "d").wants(t, 0, "downloading d (operation "+op.ID+")\n", "")
	run(t, n.URL, "image", "import", url, "--name", "d", "--wait", "1m").wants(t, 0, "imported d ("+strings.Repeat("ab", 32)+")\n", "")
	run(t, n.URL, "image", "import", url, "--name", "d", "--disk", "x").wants(t, 2, "", "a URL is that of a disk")
	run(t, n.URL, "image", "import", "--name", "d", "--disk", "x", "--sha256", "x").wants(t, 2, "", "--sha256 and --wait are for a URL")
}

func TestContentThatWasThereIsSaidToKeepItsName(t *testing.T) {
	n := takingNode(t)
	im := strings.Repeat("ab", 32)
	done := fleet.Operation{ID: fleet.OperationID(id(0xa1), 7), Host: id(0xa1), State: fleet.OperationSucceeded, Image: im, ImageName: "old"}
	n.answer("POST /v1/images/import", http.StatusAccepted, done)
	const said = "its content was there before under that name, which it keeps; it is not called new\n"
	run(t, n.URL, "image", "import", "https://example.org/d", "--name", "new", "--wait", "1m").wants(t, 0, "imported old ("+im+"): "+said, "")

	n.called = "old"
	r := run(t, n.URL, "image", "import", "--name", "new", "--disk", write(t, "d.img", "raw bytes"), "--host", "kvm-1")
	r.wants(t, 0, "imported old ("+digest("raw bytes")+"): "+said, "")
}

func TestFailedDownloadSaysWhy(t *testing.T) {
	n := fleetNode(t)
	op := fleet.Operation{ID: fleet.OperationID(id(0xa1), 7), Host: id(0xa1), State: fleet.OperationFailed, Fault: "download: the server answered 404 Not Found"}
	n.answer("POST /v1/images/import", http.StatusAccepted, op)
	run(t, n.URL, "image", "import", "https://example.org/d", "--name", "d", "--wait", "1m").wants(t, 1, "", "grapevine: download: the server answered 404 Not Found\n")
}
