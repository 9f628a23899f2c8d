package uploads

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"grapevine/agent/fetch"
	"grapevine/fleet"
)

// The errors that callers tell apart, beside those of package fetch.
var (
	// ErrNone: no upload of this image has begun here, or it was kept for too long.
	ErrNone = errors.New("no upload of this image has begun")
	// ErrBusy: somebody is sending to the upload, or it is being stored.
	ErrBusy = errors.New("somebody is uploading this image")
	// ErrOffset: what is sent does not begin where what is there ends.
	ErrOffset = errors.New("the upload is at another offset")
	// ErrTooLong: more was sent than the manifest says.
	ErrTooLong = errors.New("more was sent than the image is long")
)

// Desk takes uploads in. Its methods may be called from several goroutines.
type Desk struct {
	spool *fetch.Spool
	mu    sync.Mutex
	taken map[string]*Upload // guarded by mu: those that are being worked on, by image
}

// New returns a desk whose uploads lie in the spool.
func New(spool *fetch.Spool) *Desk { return &Desk{spool: spool, taken: map[string]*Upload{}} }

const manifestName = "manifest.json"

func (d *Desk) folder(id string) string { return d.spool.Folder("part-" + id) }

// Begin makes ready for an upload, whose manifest must be valid; what is there
// from before stays. What is missing must have room beside what the other
// uploads under way still lack.
func (d *Desk) Begin(im fleet.Image) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.taken[im.ID] != nil {
		return nil
	}
	have, err := d.have(&im)
	if err != nil {
		return err
	}
	need := im.Bytes - have
	for _, other := range d.taken {
		need += other.Image.Bytes - other.Have()
	}
	if err := d.spool.Require(need); err != nil {
		return err
	}
	return d.note(&im)
}

// note writes the manifest down, whole or not at all.
func (d *Desk) note(im *fleet.Image) error {
	text, err := json.Marshal(im)
	if err != nil {
		return fmt.Errorf("encode manifest: %w", err)
	}
	folder := d.folder(im.ID)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return fmt.Errorf("make upload: %w", fetch.Full(err))
	}
	draft := filepath.Join(folder, manifestName+".new")
	if err := os.WriteFile(draft, text, 0o600); err != nil {
		return fmt.Errorf("write manifest: %w", fetch.Full(err))
	}
	return os.Rename(draft, filepath.Join(folder, manifestName))
}

// manifest reads what note wrote.
func (d *Desk) manifest(id string) (fleet.Image, error) {
	var im fleet.Image
	if !fleet.IsImageID(id) {
		return im, ErrNone
	}
	text, err := os.ReadFile(filepath.Join(d.folder(id), manifestName))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return im, ErrNone
	case err != nil:
		return im, fmt.Errorf("read manifest: %w", err)
	case json.Unmarshal(text, &im) != nil || im.ID != id || im.Validate() != nil:
		return fleet.Image{}, ErrNone // the disk has lost it
	}
	return im, nil
}

// have is how many bytes are there: all of the first files, and the beginning
// of the next. It trusts the files' sizes: after a power cut they may hold
// something else, which the digest finds out.
func (d *Desk) have(im *fleet.Image) (int64, error) {
	var sum int64
	for _, f := range im.Files {
		info, err := os.Stat(d.path(im.ID, f.Role))
		if errors.Is(err, fs.ErrNotExist) {
			return sum, nil
		}
		if err != nil {
			return 0, fmt.Errorf("look at upload: %w", err)
		}
		sum += min(info.Size(), f.Bytes)
		if info.Size() < f.Bytes {
			return sum, nil
		}
	}
	return sum, nil
}

func (d *Desk) path(id string, role fleet.ImageRole) string {
	return filepath.Join(d.folder(id), string(role))
}

// Look says how far an upload is.
func (d *Desk) Look(id string) (fleet.Upload, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	im, err := d.manifest(id)
	if err != nil {
		return fleet.Upload{}, err
	}
	have, err := d.have(&im)
	return fleet.Upload{Image: id, HaveBytes: have, TotalBytes: im.Bytes, Busy: d.taken[id] != nil}, err
}

// Take takes an upload to go on with it from an offset, which must be where it
// is. Nobody else can until it is released.
func (d *Desk) Take(id string, offset int64) (*Upload, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	im, err := d.manifest(id)
	if err != nil {
		return nil, err
	}
	if d.taken[id] != nil {
		return nil, ErrBusy
	}
	have, err := d.have(&im)
	if err != nil {
		return nil, err
	}
	if have != offset {
		return nil, fmt.Errorf("%w: it has %d bytes, and what is sent begins at %d", ErrOffset, have, offset)
	}
	u := &Upload{Image: im, desk: d}
	u.came.Store(have)
	d.taken[id] = u
	return u, nil
}
