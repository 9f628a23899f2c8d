package cli

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"grapevine/fleet"
)

// upload is what a node received.
type received struct {
	host     string
	manifest fleet.Image
	files    map[string]string
}

// receive reads an upload as a node would.
func receive(t *testing.T, r *http.Request) received {
	t.Helper()
	_, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	got := received{host: r.URL.Query().Get("host"), files: map[string]string{}}
	reader := multipart.NewReader(r.Body, params["boundary"])
	for {
		part, err := reader.NextPart()
		if errors.Is(err, io.EOF) {
			return got
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(part)
		if err != nil {
			t.Fatal(err)
		}
		if part.FormName() == "manifest" {
			if err := json.Unmarshal(content, &got.manifest); err != nil {
				t.Fatal(err)
			}
			continue
		}
		got.files[part.FormName()] = string(content)
	}
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
	n := fleetNode(t)
	var got []received
	n.mux.HandleFunc("POST /v1/images", func(w http.ResponseWriter, r *http.Request) {
		up := receive(t, r)
		got = append(got, up)
		up.manifest.CreatedAt = today
		reply(w, http.StatusCreated, up.manifest)
	})
	kernel, initrd := write(t, "vmlinuz", "the kernel"), write(t, "initrd", "the initrd")
	r := run(t, n.URL, "image", "import", "--name", "tiny", "--kernel", kernel, "--initrd", initrd, "--cmdline", "console=ttyS0", "--host", "kvm-1", "--host", "xen-1")
	files := []fleet.ImageFile{
		{Role: fleet.RoleKernel, SHA256: digest("the kernel"), Bytes: 10},
		{Role: fleet.RoleInitrd, SHA256: digest("the initrd"), Bytes: 10},
	}
	imageID := fleet.ImageID(files, "console=ttyS0")
	r.wants(t, 0, "imported tiny ("+imageID+")\n", "")
	if len(got) != 2 {
		t.Fatalf("got %d uploads, want 2", len(got))
	}
	for i, host := range []fleet.UUID{id(0xa1), id(0xb2)} {
		want := received{
			host:     host.String(),
			manifest: fleet.Image{ID: imageID, Name: "tiny", Files: files, Cmdline: "console=ttyS0", Bytes: 20},
			files:    map[string]string{"kernel": "the kernel", "initrd": "the initrd"},
		}
		if diff := cmp.Diff(want, got[i], cmp.AllowUnexported(received{})); diff != "" {
			t.Errorf("upload %d (-want +got)\n%s", i, diff)
		}
	}
}

func TestImportGoesOnAfterOneHostFailed(t *testing.T) {
	n := fleetNode(t)
	n.mux.HandleFunc("POST /v1/images", func(w http.ResponseWriter, r *http.Request) {
		up := receive(t, r)
		if up.host == id(0xb2).String() {
			reply(w, http.StatusInsufficientStorage, map[string]string{"code": "out_of_space", "detail": "its storage is full"})
			return
		}
		reply(w, http.StatusCreated, up.manifest)
	})
	run(t, n.URL, "image", "import", "--name", "d", "--disk", write(t, "d.img", "raw bytes"), "--all-hosts").
		wants(t, 1, "", "grapevine: host xen-1: its storage is full\n")
	if got := n.requests(http.MethodPost); len(got) != 3 {
		t.Errorf("got %d uploads, want 3", len(got))
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

func TestFailedDownloadSaysWhy(t *testing.T) {
	n := fleetNode(t)
	op := fleet.Operation{ID: fleet.OperationID(id(0xa1), 7), Host: id(0xa1), State: fleet.OperationFailed, Fault: "download: the server answered 404 Not Found"}
	n.answer("POST /v1/images/import", http.StatusAccepted, op)
	run(t, n.URL, "image", "import", "https://example.org/d", "--name", "d", "--wait", "1m").wants(t, 1, "", "grapevine: download: the server answered 404 Not Found\n")
}
