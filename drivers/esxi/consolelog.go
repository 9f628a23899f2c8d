package esxi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/types"

	"grapevine/drivers"
	"grapevine/fleet"
	"grapevine/internal/pause"
)

var _ drivers.ConsoleLogger = (*Driver)(nil)

const (
	// logKept is how much of a console's log counts as kept: the newest. The
	// host itself lets the file grow.
	logKept = 1 << 20
	// logPiece is how much is read in one request.
	logPiece = 64 << 10
	// logPoll is how often a followed log is looked at; the host tells of nothing.
	logPoll = time.Second
)

// ConsoleLog implements drivers.ConsoleLogger: it reads the file of the
// machine's first serial port back through the datastore.
func (d *Driver) ConsoleLog(ctx context.Context, id fleet.InstanceID, part fleet.LogRange) (io.ReadCloser, error) {
	r := &logReader{ctx: ctx, d: d, id: id}
	err := d.do(ctx, fmt.Sprintf("read console log of machine %s", id), func(ctx context.Context, s *session) error {
		m, err := d.find(ctx, s, id)
		if err != nil {
			return err
		}
		devices, err := s.devices(ctx, m.ref)
		if err != nil {
			return err
		}
		if r.name, err = s.logName(devices); err != nil {
			return err
		}
		_, size, err := s.piece(ctx, r.name, 0, 1)
		oldest := max(size-logKept, 0)
		r.pos, r.end = oldest+part.Start(size-oldest), size
		return err
	})
	if err != nil {
		return nil, err
	}
	if part.Follow {
		r.end = -1
	}
	return r, nil
}

// logName is the file, on the datastore, of the first serial port that writes
// to one.
func (s *session) logName(devices object.VirtualDeviceList) (string, error) {
	for _, device := range devices.SelectByType((*types.VirtualSerialPort)(nil)) {
		backing, ok := device.GetVirtualDevice().Backing.(*types.VirtualSerialPortFileBackingInfo)
		if !ok {
			continue
		}
		if name, ok := strings.CutPrefix(backing.FileName, s.datastore.Path("")+" "); ok {
			return name, nil
		}
	}
	return "", drivers.Unfit("its console is not recorded; those of machines that Grapevine built are")
}

// piece reads at most length bytes of a file from offset on, and says how large
// the file is. A file that is not there is empty: nothing was printed yet.
func (s *session) piece(ctx context.Context, name string, offset, length int64) (content []byte, size int64, err error) {
	res, err := s.get(ctx, name, http.Header{"Range": {fmt.Sprintf("bytes=%d-%d", offset, offset+length-1)}})
	if err != nil {
		return nil, 0, err
	}
	defer res.Body.Close()
	switch res.StatusCode {
	case http.StatusNotFound:
		return nil, 0, nil
	case http.StatusRequestedRangeNotSatisfiable:
		size, err = sizeIn(res.Header)
		return nil, size, err
	case http.StatusOK: // a host that knows no ranges sends all of it
		size = res.ContentLength
		if _, err := io.CopyN(io.Discard, res.Body, offset); errors.Is(err, io.EOF) {
			return nil, size, nil
		} else if err != nil {
			return nil, 0, fmt.Errorf("read %s: %w", name, err)
		}
	case http.StatusPartialContent:
		if size, err = sizeIn(res.Header); err != nil {
			return nil, 0, err
		}
	default:
		return nil, 0, fmt.Errorf("read %s: %w", name, statusError(res))
	}
	if content, err = io.ReadAll(io.LimitReader(res.Body, length)); err != nil {
		return nil, 0, fmt.Errorf("read %s: %w", name, err)
	}
	return content, max(size, offset+int64(len(content))), nil
}

// sizeIn reads the size of a file from "Content-Range: bytes 0-9/SIZE".
func sizeIn(header http.Header) (int64, error) {
	text := header.Get("Content-Range")
	_, total, _ := strings.Cut(text, "/")
	size, err := strconv.ParseInt(total, 10, 64)
	if err != nil || size < 0 {
		return 0, fmt.Errorf("the host answered with the range %q, which says no size", text)
	}
	return size, nil
}

// logReader reads a console's log piece by piece. Each piece is a call of its
// own, so that nothing is open at the host in between.
type logReader struct {
	ctx  context.Context // io.Reader has no place for it; the reader ends with the call
	d    *Driver
	id   fleet.InstanceID
	name string
	pos  int64
	end  int64 // -1 to follow
	rest []byte
	gone bool // the machine
}

// Read implements io.Reader.
func (r *logReader) Read(p []byte) (int, error) {
	for len(r.rest) == 0 && len(p) > 0 {
		if r.end >= 0 && r.pos >= r.end {
			return 0, io.EOF
		}
		if err := r.fetch(); err != nil {
			return 0, err
		}
		if len(r.rest) > 0 {
			break
		}
		if r.end >= 0 || r.gone {
			return 0, io.EOF // the file has become shorter, or the machine is gone
		}
		if !pause.For(r.ctx, logPoll) {
			return 0, r.ctx.Err()
		}
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// fetch reads the next piece. A log that is followed ends with its machine,
// and begins anew where its file has.
func (r *logReader) fetch() error {
	return r.d.do(r.ctx, fmt.Sprintf("read console log of machine %s", r.id), func(ctx context.Context, s *session) error {
		length := int64(logPiece)
		if r.end >= 0 {
			length = min(length, r.end-r.pos)
		}
		content, size, err := s.piece(ctx, r.name, r.pos, length)
		if err != nil {
			return err
		}
		r.rest, r.pos = content, r.pos+int64(len(content))
		if len(content) > 0 || r.end >= 0 {
			return nil
		}
		if size < r.pos {
			r.pos = 0
		}
		_, err = r.d.find(ctx, s, r.id)
		if r.gone = errors.Is(err, drivers.ErrNotFound); r.gone {
			return nil
		}
		return err
	})
}

// Close implements io.Closer.
func (r *logReader) Close() error { return nil }
