package libvirt

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"grapevine/drivers"
	"grapevine/drivers/libvirt/session"
	"grapevine/drivers/libvirt/storage"
	"grapevine/fleet"
	"grapevine/internal/pause"
)

const (
	// logPoll is how often a followed log is looked at; libvirt tells of nothing.
	logPoll = 500 * time.Millisecond
	// logLost is for how many looks a part that has been moved aside is searched
	// for. Libvirt does not look through a pool while something is uploaded to it.
	logLost = 20
	// logSeam is how many bytes before a position are read again, to see that the
	// file goes on there and is no other: more than a few lines.
	logSeam = 1 << 10
)

// logReader reads the parts of a log one after the other, over whatever
// virtlogd moves aside meanwhile. A part that has been moved aside is known
// again by when it was last written to, and the current one by the part before
// it, for the names move on. That the current one was moved aside at all shows
// in what comes before the position: its size may be anything by then.
type logReader struct {
	ctx    context.Context
	d      *Driver
	place  consolePlace
	id     fleet.InstanceID
	follow bool

	parts   []storage.Dated // as last seen, oldest first, the current one last
	at      int             // the part that is being read
	pos     int64           // in it
	seam    []byte          // what was read of it last
	open    io.ReadCloser   // the transfer under way; nil for none
	stirred bool            // it was written to, or is another file, whatever its size
	// replaced: what has the part's name now is another file.
	replaced bool
}

// begin goes to where the range begins.
func (r *logReader) begin(part fleet.LogRange) {
	var size int64
	for _, p := range r.parts {
		size += p.Size
	}
	r.pos = part.Start(size)
	for r.at < len(r.parts)-1 && r.pos >= r.parts[r.at].Size {
		r.pos -= r.parts[r.at].Size
		r.at++
	}
}

// Read implements io.Reader.
func (r *logReader) Read(p []byte) (int, error) {
	for {
		if r.open == nil {
			if err := r.advance(); err != nil {
				return 0, err
			}
		}
		n, err := r.open.Read(p)
		r.pos += int64(n)
		r.seam = append(r.seam, p[:n]...)
		r.seam = slices.Delete(r.seam, 0, max(0, len(r.seam)-logSeam))
		if !errors.Is(err, io.EOF) {
			return n, err
		}
		if err := r.Close(); err != nil || n > 0 {
			return n, err
		}
		r.parts[r.at].Size = r.pos // it has been read whole
	}
}

// advance begins the next transfer; io.EOF means that there is nothing more.
func (r *logReader) advance() error {
	for {
		last := len(r.parts) - 1
		switch {
		case r.pos < r.parts[r.at].Size, r.stirred:
			if opened, err := r.transfer(); opened || err != nil {
				return err
			}
		case r.at < last:
			r.restart(r.at + 1)
		case !r.follow:
			return io.EOF
		default:
			if err := r.wait(); err != nil {
				return err
			}
		}
	}
}

// restart goes to the beginning of a part.
func (r *logReader) restart(at int) { r.at, r.pos, r.seam, r.replaced = at, 0, nil, false }

// transfer opens the part; false when it is not the one that it was.
func (r *logReader) transfer() (bool, error) {
	r.stirred = false
	open, err := r.d.session.Download(r.ctx, r.parts[r.at].Vol, r.pos-int64(len(r.seam)), 0)
	if err != nil {
		return false, err
	}
	same, err := r.same(open)
	if same {
		r.open = open
		return true, nil
	}
	if err == nil {
		err = r.find()
	}
	return false, errors.Join(err, open.Close())
}

// same reports whether what was opened goes on where the part was left. Of a
// part of which nothing has been read there are only the names to go by.
func (r *logReader) same(open io.Reader) (bool, error) {
	if len(r.seam) == 0 {
		return r.unmoved()
	}
	before := make([]byte, len(r.seam))
	switch _, err := io.ReadFull(open, before); {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		r.replaced = true
	case err != nil:
		return false, err
	default:
		r.replaced = !bytes.Equal(before, r.seam)
	}
	return !r.replaced, nil
}

// unmoved reports whether the names of the parts are still those that were seen:
// the newest that was moved aside moves on with each that follows it.
func (r *logReader) unmoved() (bool, error) {
	last := len(r.parts) - 1
	if last == 0 {
		parts, err := r.place.recorded(r.ctx)
		return len(parts) == 1, err
	}
	witness := r.parts[min(r.at, last-1)]
	now, err := r.place.pool.Dated(r.ctx, witness.Vol.Name)
	if session.Unanswered(err) {
		return false, err
	}
	return err == nil && now.Written == witness.Written, nil
}

// wait returns when there may be more.
func (r *logReader) wait() error {
	if !pause.For(r.ctx, logPoll) {
		return r.ctx.Err()
	}
	last := &r.parts[len(r.parts)-1]
	now, err := r.place.pool.Dated(r.ctx, last.Vol.Name)
	switch {
	case errors.Is(err, drivers.ErrNotFound):
		return r.find()
	case err != nil:
		return err
	case now.Size < r.pos, last.Vol.Key == "": // or it was made since
		return r.find()
	default:
		r.stirred = now.Written != last.Written
		*last = now
		return nil
	}
}

// find looks where the part that is being read has gone, and ends the log when
// the machine is gone. Where the part has been thrown away, it goes on with the
// oldest that there is.
func (r *logReader) find() error {
	for range logLost {
		if _, err := r.d.lookup(r.ctx, r.id); errors.Is(err, drivers.ErrNotFound) {
			return io.EOF
		} else if err != nil {
			return err
		}
		parts, err := r.place.recorded(r.ctx)
		if err != nil {
			return err
		}
		switch at := r.among(parts); {
		case at >= 0 && (!r.replaced || parts[at].Vol.Name != r.parts[r.at].Vol.Name):
			r.parts, r.at, r.replaced = parts, at, false
			return nil
		case at == len(parts)-1: // it is not shown yet what its name is by now
		case len(parts) == maxRotated+1:
			r.parts = parts
			r.restart(0)
			return nil
		}
		if !pause.For(r.ctx, logPoll) {
			return r.ctx.Err()
		}
	}
	r.restart(len(r.parts) - 1)
	return nil
}

// among returns which of parts is the one that is being read, or -1.
func (r *logReader) among(parts []storage.Dated) int {
	last := len(r.parts) - 1
	switch {
	case r.at < last:
		return written(parts, r.parts[r.at].Written)
	case last == 0 && len(parts) > 0 && parts[0].Size >= r.pos:
		return 0
	case last == 0:
		return -1
	}
	if before := written(parts, r.parts[last-1].Written); before >= 0 && before < len(parts)-1 && parts[before+1].Size >= r.pos {
		return before + 1
	}
	return -1
}

// written returns the part moved aside that was last written to then, or -1.
func written(parts []storage.Dated, when string) int {
	for i := range len(parts) - 1 {
		if parts[i].Written == when {
			return i
		}
	}
	return -1
}

// Close ends the transfer under way.
func (r *logReader) Close() error {
	if r.open == nil {
		return nil
	}
	err := r.open.Close()
	r.open = nil
	return err
}
