package client

import (
	"errors"
	"fmt"
	"io"
	"sync"

	"grapevine/fleet"
)

// upload is the body of an image upload: its parts one after the other. The
// transport may go on reading a body for a moment after it has returned the
// answer; stop makes sure that the caller's readers are left alone by then.
type upload struct {
	contentType string
	length      int64

	mu      sync.Mutex
	parts   []io.Reader // guarded by mu; the part being read is the first
	stopped bool        // guarded by mu
	err     error       // guarded by mu: what our own files failed with
}

var errStopped = errors.New("upload was given up")

// Read implements io.Reader.
func (u *upload) Read(p []byte) (int, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.stopped {
		return 0, errStopped
	}
	for len(u.parts) > 0 {
		n, err := u.parts[0].Read(p)
		if errors.Is(err, io.EOF) {
			u.parts, err = u.parts[1:], nil
		}
		if err != nil {
			u.err = err
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
	return 0, io.EOF
}

// stop waits for a read under way and refuses all later ones.
func (u *upload) stop() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.stopped = true
}

// failure returns the error of the caller's own readers, if that is what
// ended the upload.
func (u *upload) failure() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.err
}

// exact reads one file and fails when it is not as long as its manifest says.
type exact struct {
	role       fleet.ImageRole
	from       io.Reader
	want, have int64
}

// Read implements io.Reader. At the declared length it looks one byte further.
func (e *exact) Read(p []byte) (int, error) {
	if e.have == e.want {
		return 0, e.checkEnd()
	}
	n, err := e.from.Read(p[:min(int64(len(p)), e.want-e.have)])
	e.have += int64(n)
	switch {
	case errors.Is(err, io.EOF) && e.have == e.want:
		return n, io.EOF
	case errors.Is(err, io.EOF):
		return n, fmt.Errorf("image's %s ended after %d of %d bytes; make its manifest anew: %w", e.role, e.have, e.want, io.ErrUnexpectedEOF)
	case err != nil:
		return n, fmt.Errorf("read image's %s: %w", e.role, err)
	default:
		return n, nil
	}
}

func (e *exact) checkEnd() error {
	switch n, err := io.ReadFull(e.from, make([]byte, 1)); {
	case n > 0:
		return fmt.Errorf("image's %s is longer than the %d bytes of its manifest; make its manifest anew", e.role, e.want)
	case errors.Is(err, io.EOF):
		return io.EOF
	default:
		return fmt.Errorf("read image's %s: %w", e.role, err)
	}
}
