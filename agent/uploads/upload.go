package uploads

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"

	"grapevine/agent/fetch"
	"grapevine/fleet"
)

// Upload is an upload that was taken.
type Upload struct {
	// Image is the manifest.
	Image fleet.Image
	desk  *Desk
	came  atomic.Int64 // bytes that are there
}

// Have is how many bytes are there.
func (u *Upload) Have() int64 { return u.came.Load() }

// Whole reports whether all of it is there.
func (u *Upload) Whole() bool { return u.Have() == u.Image.Bytes }

// Append writes content behind what is there, until it ends. What came before
// an error stays, but for a full disk's: that room is given back at once.
func (u *Upload) Append(content io.Reader) error {
	var before int64 // where the file begins
	for _, f := range u.Image.Files {
		if at := u.Have() - before; at < f.Bytes {
			if err := u.fill(f, at, content); err != nil {
				if errors.Is(err, fetch.ErrOutOfSpace) {
					err = errors.Join(err, u.Drop())
				}
				return err
			}
			if u.Have() < before+f.Bytes {
				return nil // the content has ended
			}
		}
		before += f.Bytes
	}
	switch n, err := io.ReadFull(content, make([]byte, 1)); {
	case n > 0:
		return ErrTooLong
	case errors.Is(err, io.EOF):
		return nil
	default:
		return err
	}
}

// lookForRoom is after how many bytes the room is looked at again: others write
// to the same disk.
const lookForRoom = 64 << 20

// fill writes one file from at on.
func (u *Upload) fill(f fleet.ImageFile, at int64, content io.Reader) (err error) {
	file, err := os.OpenFile(u.desk.path(u.Image.ID, f.Role), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fetch.Full(err)
	}
	defer func() { err = errors.Join(err, fetch.Full(file.Close())) }()
	if _, err := file.Seek(at, io.SeekStart); err != nil {
		return err
	}
	for at < f.Bytes {
		step := min(lookForRoom, f.Bytes-at)
		if err := u.desk.spool.Require(step); err != nil {
			return err
		}
		n, err := io.CopyN(file, content, step)
		at += n
		u.came.Add(n)
		switch {
		case n < step && errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fetch.Full(err)
		}
	}
	return nil
}

// Verify compares what is there with the manifest.
func (u *Upload) Verify() error {
	for _, f := range u.Image.Files {
		got, err := digest(u.desk.path(u.Image.ID, f.Role))
		if err != nil {
			return fmt.Errorf("read upload: %w", err)
		}
		if got != f.SHA256 {
			return fmt.Errorf("%w: the %s has the sha256 %.12s, it should be %.12s", fetch.ErrBadContent, f.Role, got, f.SHA256)
		}
	}
	return nil
}

func digest(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = file.Close() }() // it was only read
	sum := sha256.New()
	if _, err := io.Copy(sum, file); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// Paths says where the files lie.
func (u *Upload) Paths() map[fleet.ImageRole]string {
	out := map[fleet.ImageRole]string{}
	for _, f := range u.Image.Files {
		out[f.Role] = u.desk.path(u.Image.ID, f.Role)
	}
	return out
}

// Drop removes all that is there; the next upload begins anew.
func (u *Upload) Drop() error {
	if err := os.RemoveAll(u.desk.folder(u.Image.ID)); err != nil {
		return fmt.Errorf("clear upload: %w", err)
	}
	return nil
}

// Release lets others go on with it.
func (u *Upload) Release() {
	u.desk.mu.Lock()
	defer u.desk.mu.Unlock()
	delete(u.desk.taken, u.Image.ID)
}
