package session

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	golibvirt "github.com/digitalocean/go-libvirt"
	"github.com/digitalocean/go-libvirt/socket"

	"grapevine/drivers"
)

// Of libvirt's remote protocol (src/remote/remote_protocol.x), what a transfer
// needs.
const (
	remoteProgram     = 0x20008086
	procConnectOpen   = 1
	procAuthList      = 66
	procAuthPolkit    = 70
	procVolUpload     = 208
	procVolDownload   = 209
	authPolkit        = 2
	transferLimit     = 24 * time.Hour  // a large image over a slow link; ctx ends it earlier
	streamChunk       = 256<<10 - 1<<10 // below the 256 KiB that every daemon takes
	connectReadWrite  = 0
	streamQueueLength = 4
)

// stream is a connection that transfers one volume's content.
type stream struct {
	*wire
	sock   *socket.Socket
	in     chan packet
	early  []packet // of the stream, come before the reply to the call that began it
	serial int32
	proc   uint32 // of the transfer under way
}

type packet struct {
	socket.Header
	payload []byte
}

// Route implements go-libvirt's Router: what the reader does not take holds up
// the daemon, not our memory.
func (t *stream) Route(h *socket.Header, payload []byte) {
	select {
	case t.in <- packet{*h, payload}:
	case <-t.lost:
	}
}

// openStream connects and greets.
func (s *Session) openStream(ctx context.Context) (*stream, error) {
	w, err := s.dialWire(ctx)
	if err != nil {
		return nil, err
	}
	return s.greetOn(ctx, w)
}

// greetOn greets on a connection that is there; on an error it hangs up.
func (s *Session) greetOn(ctx context.Context, w *wire) (*stream, error) {
	t := &stream{wire: w, in: make(chan packet, streamQueueLength)}
	t.sock = socket.New(w, t)
	if err := w.guard(ctx, dialLimit, func() error { return t.greet(s.uri) }); err != nil {
		t.hangUp()
		return nil, s.refused(ctx, err)
	}
	return t, nil
}

func (t *stream) greet(uri string) error {
	if err := t.sock.Connect(); err != nil {
		return err
	}
	methods, err := t.call(procAuthList, nil)
	if err != nil {
		return err
	}
	for methods = methods[min(4, len(methods)):]; len(methods) >= 4; methods = methods[4:] {
		if binary.BigEndian.Uint32(methods) != authPolkit {
			continue
		}
		if _, err := t.call(procAuthPolkit, nil); err != nil {
			return err
		}
	}
	_, err = t.call(procConnectOpen, xdr{}.u32(1).str(uri).u32(connectReadWrite))
	return err
}

// hangUp closes the connection and waits for its reader.
func (t *stream) hangUp() {
	_ = t.Close()
	<-t.sock.Disconnected()
}

// call does one request and returns the reply's payload.
func (t *stream) call(proc uint32, args []byte) ([]byte, error) {
	if err := t.ask(proc, args); err != nil {
		return nil, err
	}
	p, err := t.next(socket.Reply)
	return p.payload, err
}

// ask sends a request.
func (t *stream) ask(proc uint32, args []byte) error {
	t.serial++
	t.proc = proc
	return t.sock.SendPacket(t.serial, proc, remoteProgram, args, socket.Call, socket.StatusOK)
}

// next waits for a packet of this type of the request under way. A busy daemon
// may send the first of a stream before the reply, for another of its threads
// does that.
func (t *stream) next(kind uint32) (packet, error) {
	if kind == socket.Stream && len(t.early) > 0 {
		p := t.early[0]
		t.early = t.early[1:]
		return p, nil
	}
	for {
		select {
		case p := <-t.in:
			switch {
			case p.Serial != t.serial || p.Program != remoteProgram:
			case p.Status == socket.StatusError:
				return packet{}, saidError(p.payload)
			case p.Type == kind:
				return p, nil
			case p.Type == socket.Stream:
				t.early = append(t.early, p)
			}
		case <-t.sock.Disconnected():
			return packet{}, golibvirt.ErrInterrupted
		}
	}
}

// refused returns the error that the daemon has sent while we send.
func (t *stream) refused() error {
	select {
	case p := <-t.in:
		if p.Status == socket.StatusError {
			return saidError(p.payload)
		}
	default:
	}
	return nil
}

// Upload fills a volume from r, whole. The volume is to be discarded after an
// error, which is r's own where r failed.
func (s *Session) Upload(ctx context.Context, vol golibvirt.StorageVol, r io.Reader, length int64) error {
	t, err := s.openStream(ctx)
	if err != nil {
		return err
	}
	defer t.hangUp()
	var source error
	err = t.guard(ctx, transferLimit, func() error {
		args := volArgs(vol).u64(0).u64(uint64(length)).u32(0)
		if _, err := t.call(procVolUpload, args); err != nil {
			return err
		}
		source, err = t.send(r)
		return err
	})
	if err == nil {
		err = source
	}
	return err
}

// send sends r to its end and waits until the daemon has stored it. source is
// r's own error.
func (t *stream) send(r io.Reader) (source, err error) {
	buf := make([]byte, streamChunk)
	for {
		n, source := io.ReadFull(r, buf)
		ended := errors.Is(source, io.EOF) || errors.Is(source, io.ErrUnexpectedEOF)
		if source != nil && !ended {
			return source, nil
		}
		if err := t.refused(); err != nil {
			return nil, err
		}
		if n > 0 {
			if err := t.sock.SendPacket(t.serial, t.proc, remoteProgram, buf[:n], socket.Stream, socket.StatusContinue); err != nil {
				return nil, errors.Join(t.refused(), err)
			}
		}
		if ended {
			break
		}
	}
	if err := t.sock.SendPacket(t.serial, t.proc, remoteProgram, nil, socket.Stream, socket.StatusOK); err != nil {
		return nil, err
	}
	_, err = t.next(socket.Stream)
	return nil, err
}

// Download reads length bytes of a volume from offset on; 0 is to its end as it
// is now. It holds a connection until it is closed; ctx ending ends it too.
func (s *Session) Download(ctx context.Context, vol golibvirt.StorageVol, offset, length int64) (io.ReadCloser, error) {
	t, err := s.openStream(ctx)
	if err != nil {
		return nil, err
	}
	err = t.guard(ctx, dialLimit, func() error {
		_, err := t.call(procVolDownload, volArgs(vol).u64(uint64(offset)).u64(uint64(length)).u32(0))
		return err
	})
	if err != nil {
		t.hangUp()
		return nil, err
	}
	d := &download{stream: t, ctx: ctx}
	d.stop = context.AfterFunc(ctx, func() { _ = t.Close() })
	return d, nil
}

// download is a transfer under way, read as it comes.
type download struct {
	*stream
	ctx  context.Context
	stop func() bool
	rest []byte
	end  error
}

func (d *download) Read(p []byte) (int, error) {
	for len(d.rest) == 0 && d.end == nil {
		d.rest, d.end = d.more()
	}
	n := copy(p, d.rest)
	d.rest = d.rest[n:]
	if n == 0 && len(p) > 0 {
		return 0, d.end
	}
	return n, nil
}

func (d *download) more() ([]byte, error) {
	p, err := d.next(socket.Stream)
	switch {
	case err != nil && d.ctx.Err() != nil:
		return nil, d.ctx.Err()
	case err != nil:
		return nil, translate(err)
	case p.Status == socket.StatusOK, len(p.payload) == 0:
		return nil, io.EOF // the daemon ends a download with an empty packet
	}
	return p.payload, nil
}

// Close ends the transfer.
func (d *download) Close() error {
	d.stop()
	d.hangUp()
	return nil
}

// xdr appends values in XDR, RFC 4506.
type xdr []byte

func (x xdr) u32(v uint32) xdr { return binary.BigEndian.AppendUint32(x, v) }
func (x xdr) u64(v uint64) xdr { return binary.BigEndian.AppendUint64(x, v) }
func (x xdr) str(s string) xdr {
	x = append(x.u32(uint32(len(s))), s...)
	return append(x, make([]byte, -len(s)&3)...)
}

func volArgs(vol golibvirt.StorageVol) xdr {
	return xdr{}.str(vol.Pool).str(vol.Name).str(vol.Key)
}

// saidError decodes the beginning of a remote_error: code, domain and the
// message, which may be absent.
func saidError(b []byte) error {
	if len(b) < 12 {
		return fmt.Errorf("%w: it sent an error that cannot be read", drivers.ErrUnavailable)
	}
	said := golibvirt.Error{Code: binary.BigEndian.Uint32(b)}
	if present := binary.BigEndian.Uint32(b[8:]); present == 1 && len(b) >= 16 {
		n := min(int64(binary.BigEndian.Uint32(b[12:])), int64(len(b)-16))
		said.Message = string(b[16 : 16+n])
	}
	if said.Message == "" {
		said.Message = fmt.Sprintf("libvirt error %d", said.Code)
	}
	return said
}
