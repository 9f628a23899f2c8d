package libvirt

import (
	"context"
	"errors"
	"io"
	"time"

	"grapevine/drivers"
	"grapevine/drivers/libvirt/storage"
	"grapevine/fleet"
	"grapevine/internal/pause"
)

const (
	// logPoll is how often a followed log is looked at; libvirt tells of nothing.
	logPoll = 500 * time.Millisecond
	// logLeap is how much a log may have grown between two looks without a doubt
	// that it is the same file: a fraction of the 2 MiB at which one is moved aside.
	logLeap = 256 << 10
	// logLost is for how many looks a part that has been moved aside is searched
	// for. Libvirt does not look through a pool while something is uploaded to it.
	logLost = 20
)

// logReader reads the parts of a log one after the other, over whatever
// virtlogd moves aside meanwhile. A part that has been moved aside is known
// again by when it was last written to, and the current one by the part before
// it, for the names move on.
type logReader struct {
	ctx    context.Context
	d      *Driver
	place  consolePlace
	id     fleet.InstanceID
	follow bool

	parts []storage.Dated // as last seen, oldest first, the current one last
	at    int             // the part that is being read
	pos   int64           // in it
	open  io.ReadCloser   // the transfer under way; nil for none
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
		case r.pos < r.parts[r.at].Size:
			if opened, err := r.transfer(); opened || err != nil {
				return err
			}
		case r.at < last:
			r.at, r.pos = r.at+1, 0
		case !r.follow:
			return io.EOF
		default:
			if err := r.wait(); err != nil {
				return err
			}
		}
	}
}

// transfer opens the part; false when it was moved aside in that moment.
func (r *logReader) transfer() (bool, error) {
	last := &r.parts[len(r.parts)-1]
	open, err := r.d.session.Download(r.ctx, r.parts[r.at].Vol, r.pos, 0)
	if err != nil {
		return false, err
	}
	_, size, err := r.place.pool.Sized(r.ctx, last.Vol.Name)
	if err == nil && size >= last.Size {
		r.open = open
		return true, nil
	}
	return false, errors.Join(r.find(), open.Close())
}

// wait returns when there may be more.
func (r *logReader) wait() error {
	if !pause.For(r.ctx, logPoll) {
		return r.ctx.Err()
	}
	last := &r.parts[len(r.parts)-1]
	_, size, err := r.place.pool.Sized(r.ctx, last.Vol.Name)
	switch {
	case errors.Is(err, drivers.ErrNotFound):
		return r.find()
	case err != nil:
		return err
	case size < r.pos, size > r.pos+logLeap, last.Vol.Key == "": // or it was made since
		return r.find()
	default:
		last.Size = size
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
		if at := r.among(parts); at >= 0 {
			r.parts, r.at = parts, at
			return nil
		}
		if len(parts) == maxRotated+1 {
			r.parts, r.at, r.pos = parts, 0, 0
			return nil
		}
		if !pause.For(r.ctx, logPoll) {
			return r.ctx.Err()
		}
	}
	r.at, r.pos = len(r.parts)-1, 0
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
