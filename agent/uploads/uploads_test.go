package uploads_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"grapevine/agent/fetch"
	"grapevine/agent/uploads"
	"grapevine/fleet"
)

const kernel, initrd = "the kernel", "the initial RAM disk"

// image has two files, so that parts end within one and within the other.
func image() fleet.Image {
	var im fleet.Image
	for role, content := range map[fleet.ImageRole]string{fleet.RoleKernel: kernel, fleet.RoleInitrd: initrd} {
		sum := sha256.Sum256([]byte(content))
		f := fleet.ImageFile{Role: role, SHA256: hex.EncodeToString(sum[:]), Bytes: int64(len(content))}
		im.Bytes += f.Bytes
		if role == fleet.RoleKernel {
			im.Files = append([]fleet.ImageFile{f}, im.Files...)
		} else {
			im.Files = append(im.Files, f)
		}
	}
	im.Name, im.ID = "tiny", fleet.ImageID(im.Files, "")
	return im
}

// desk is one on a spool that has so much room beyond what the spool keeps free.
type desk struct {
	t    *testing.T
	dir  string
	room int64
	*uploads.Desk
	spool *fetch.Spool
}

func open(t *testing.T) *desk {
	t.Helper()
	d := &desk{t: t, dir: filepath.Join(t.TempDir(), "spool"), room: 1 << 40}
	d.restart()
	return d
}

// restart is what the agent's is for a desk.
func (d *desk) restart() {
	d.t.Helper()
	spool, err := fetch.Open(fetch.Config{Dir: d.dir, Free: func(string) (int64, error) { return 64<<20 + d.room, nil }})
	if err != nil {
		d.t.Fatal(err)
	}
	d.spool, d.Desk = spool, uploads.New(spool)
}

func (d *desk) begin(im fleet.Image) {
	d.t.Helper()
	if err := d.Begin(im); err != nil {
		d.t.Fatal(err)
	}
}

func (d *desk) take(id string, offset int64) *uploads.Upload {
	d.t.Helper()
	u, err := d.Take(id, offset)
	if err != nil {
		d.t.Fatal(err)
	}
	return u
}

// has checks how far an upload is.
func (d *desk) has(id string, want int64) {
	d.t.Helper()
	if got, err := d.Look(id); err != nil || got.HaveBytes != want {
		d.t.Errorf("the desk has %d bytes (%v), want %d", got.HaveBytes, err, want)
	}
}

func (d *desk) isEmpty() {
	d.t.Helper()
	if left, err := os.ReadDir(d.dir); err != nil || len(left) > 0 {
		d.t.Errorf("left in the spool: %v, %v", left, err)
	}
}

// Wherever an upload is cut, and the agent restarted, it goes on there.
func TestUploadGoesOnWhereverItWasCut(t *testing.T) {
	all := kernel + initrd
	im := image()
	for cut := range len(all) + 1 {
		d := open(t)
		d.begin(im)
		first := d.take(im.ID, 0)
		broken := errors.New("cut")
		if err := first.Append(io.MultiReader(strings.NewReader(all[:cut]), iotest.ErrReader(broken))); !errors.Is(err, broken) {
			t.Fatalf("cut after %d bytes: %v, want the content's own error", cut, err)
		}
		d.restart()
		d.begin(im)
		d.has(im.ID, int64(cut))
		rest := d.take(im.ID, int64(cut))
		if err := rest.Append(strings.NewReader(all[cut:])); err != nil || !rest.Whole() {
			t.Fatalf("the rest after %d bytes: %v, whole %v", cut, err, rest.Whole())
		}
		if err := rest.Verify(); err != nil {
			t.Error(err)
		}
		if err := rest.Drop(); err != nil {
			t.Error(err)
		}
		rest.Release()
		d.isEmpty()
	}
}

func TestUploadIsWorkedOnByOneAtATime(t *testing.T) {
	d, im := open(t), image()
	d.begin(im)
	u := d.take(im.ID, 0)
	if _, err := d.Take(im.ID, 0); !errors.Is(err, uploads.ErrBusy) {
		t.Errorf("a second one takes it: %v", err)
	}
	d.begin(im) // somebody else asks
	if state, err := d.Look(im.ID); err != nil || !state.Busy {
		t.Errorf("got %+v, %v, want it busy", state, err)
	}
	u.Release()
	d.take(im.ID, 0).Release()
}

func TestPartMustFitWhatIsThere(t *testing.T) {
	d, im := open(t), image()
	if _, err := d.Take(im.ID, 0); !errors.Is(err, uploads.ErrNone) {
		t.Errorf("one that has not begun: %v", err)
	}
	if _, err := d.Look("../../etc"); !errors.Is(err, uploads.ErrNone) {
		t.Errorf("one that is no id: %v", err)
	}
	d.begin(im)
	u := d.take(im.ID, 0)
	if err := u.Append(strings.NewReader(kernel)); err != nil || u.Whole() {
		t.Errorf("the kernel: %v, whole %v", err, u.Whole())
	}
	u.Release()
	for _, offset := range []int64{0, int64(len(kernel)) - 1, int64(len(kernel)) + 1} {
		if _, err := d.Take(im.ID, offset); !errors.Is(err, uploads.ErrOffset) {
			t.Errorf("at offset %d: %v", offset, err)
		}
	}
	u = d.take(im.ID, int64(len(kernel)))
	if err := u.Append(strings.NewReader(initrd + "!")); !errors.Is(err, uploads.ErrTooLong) {
		t.Errorf("more than there is: %v", err)
	}
}

func TestWrongContentIsFoundOut(t *testing.T) {
	d, im := open(t), image()
	d.begin(im)
	u := d.take(im.ID, 0)
	if err := u.Append(strings.NewReader(strings.Replace(kernel+initrd, "RAM", "rum", 1))); err != nil {
		t.Fatal(err)
	}
	if err := u.Verify(); !errors.Is(err, fetch.ErrBadContent) || !strings.Contains(err.Error(), "initrd") {
		t.Errorf("got %v, want the initrd to be wrong", err)
	}
}

func TestUploadNeedsRoomBesideTheOthers(t *testing.T) {
	d, im := open(t), image()
	d.room = im.Bytes - 1
	if err := d.Begin(im); !errors.Is(err, fetch.ErrOutOfSpace) {
		t.Errorf("got %v, want out of space", err)
	}
	d.isEmpty()
	d.room = im.Bytes
	d.begin(im)
	u := d.take(im.ID, 0)
	other := image()
	other.Files, other.Name = other.Files[:1], "kernel"
	other.ID, other.Bytes = fleet.ImageID(other.Files, ""), other.Files[0].Bytes
	if err := d.Begin(other); !errors.Is(err, fetch.ErrOutOfSpace) {
		t.Errorf("a second one is promised the same room: %v", err)
	}
	d.room = 0 // somebody else has written
	if err := u.Append(strings.NewReader(kernel)); !errors.Is(err, fetch.ErrOutOfSpace) {
		t.Errorf("got %v, want out of space", err)
	}
	d.isEmpty()
}

func TestUploadThatNobodyGoesOnWithIsRemoved(t *testing.T) {
	d, im := open(t), image()
	d.begin(im)
	u := d.take(im.ID, 0)
	if err := u.Append(bytes.NewReader([]byte(kernel))); err != nil {
		t.Fatal(err)
	}
	u.Release()
	now := time.Now()
	if err := d.spool.Tidy(now.Add(time.Hour - fleet.UploadKept)); err != nil {
		t.Fatal(err)
	}
	d.has(im.ID, int64(len(kernel)))
	if err := d.spool.Tidy(now.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Look(im.ID); !errors.Is(err, uploads.ErrNone) {
		t.Errorf("got %v, want it gone", err)
	}
	d.isEmpty()
}

func TestDamagedNotesAreAnUploadThatHasNotBegun(t *testing.T) {
	d, im := open(t), image()
	d.begin(im)
	notes, err := filepath.Glob(filepath.Join(d.dir, "*", "manifest.json"))
	if err != nil || len(notes) != 1 {
		t.Fatal(notes, err)
	}
	if err := os.WriteFile(notes[0], []byte(`{"id":"`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Look(im.ID); !errors.Is(err, uploads.ErrNone) {
		t.Errorf("got %v", err)
	}
	d.begin(im)
	d.has(im.ID, 0)
}
