package meshtest

import (
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// streamWindow is how many bytes may be on their way or unread in one
// direction before a writer waits, as in TCP.
const streamWindow = 256 << 10

// conn is one end of a stream.
type conn struct {
	in, out       *half
	local, remote address
}

var _ net.Conn = (*conn)(nil)

// pipe returns both ends of a stream from a to b.
func (n *Network) pipe(a, b address) (net.Conn, net.Conn) {
	there, back := newHalf(n, a, b), newHalf(n, b, a)
	return &conn{in: back, out: there, local: a, remote: b}, &conn{in: there, out: back, local: b, remote: a}
}

func (c *conn) Read(b []byte) (int, error)  { return c.in.read(b) }
func (c *conn) Write(b []byte) (int, error) { return c.out.write(b) }
func (c *conn) LocalAddr() net.Addr         { return c.local }
func (c *conn) RemoteAddr() net.Addr        { return c.remote }

func (c *conn) Close() error {
	c.in.change(func(h *half) { h.readerGone = true })
	c.out.finish()
	return nil
}

func (c *conn) SetDeadline(t time.Time) error {
	_ = c.SetReadDeadline(t)
	return c.SetWriteDeadline(t)
}

func (c *conn) SetReadDeadline(t time.Time) error {
	c.in.change(func(h *half) { h.readBy = t })
	return nil
}

func (c *conn) SetWriteDeadline(t time.Time) error {
	c.out.change(func(h *half) { h.writeBy = t })
	return nil
}

// half is one direction of a stream.
type half struct {
	network  *Network
	from, to string

	mu         sync.Mutex
	arrives    *time.Timer   // rings when there is something for a reader that waits
	readers    int           // that wait
	changed    chan struct{} // closed and replaced at every change, where a writer waits
	writers    int           // that wait
	chunks     []chunk
	size       int       // bytes in chunks, and bytes that were lost
	last       time.Time // arrival of the last chunk
	stalled    bool      // something was lost: nothing arrives any more
	writerGone bool
	readerGone bool
	readBy     time.Time
	writeBy    time.Time
}

type chunk struct {
	at   time.Time
	data []byte
}

func newHalf(n *Network, from, to address) *half {
	h := &half{network: n, from: hostOf(string(from)), to: hostOf(string(to)), changed: make(chan struct{}), arrives: time.NewTimer(time.Hour)}
	h.arrives.Stop()
	return h
}

func (h *half) change(f func(*half)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f(h)
	h.ring()
	h.tell()
}

// ring has a reader that waits look again when it has reason to: at once, or
// when something arrives. So each chunk wakes it once.
func (h *half) ring() {
	if h.readers == 0 {
		return
	}
	if at := h.next(); at.IsZero() {
		h.arrives.Stop()
	} else {
		h.arrives.Reset(max(0, time.Until(at)))
	}
}

// next returns when there is something for a reader, zero while that cannot be
// said.
func (h *half) next() time.Time {
	var arrival time.Time
	switch {
	case h.readerGone:
		return time.Now()
	case len(h.chunks) > 0:
		arrival = h.chunks[0].at
	case h.writerGone && !h.stalled:
		arrival = h.last
	}
	if arrival.IsZero() || !h.readBy.IsZero() && h.readBy.Before(arrival) {
		return h.readBy
	}
	return arrival
}

// tell has writers that wait look again.
func (h *half) tell() {
	if h.writers > 0 {
		close(h.changed)
		h.changed = make(chan struct{})
	}
}

// finish ends the stream behind all that was written.
func (h *half) finish() {
	at, arrives := h.network.arrival(h.from, h.to, 0)
	h.change(func(h *half) {
		if h.writerGone {
			return
		}
		h.writerGone = true
		if !arrives {
			h.stalled = true
		}
		if at.After(h.last) {
			h.last = at
		}
	})
}

// waitToRead blocks until there is reason to look again; the caller holds mu,
// and holds it again afterwards.
func (h *half) waitToRead() {
	h.readers++
	h.ring()
	h.mu.Unlock()
	<-h.arrives.C
	h.mu.Lock()
	h.readers--
}

// waitToWrite does so for a writer.
func (h *half) waitToWrite() {
	h.writers++
	defer func() { h.writers-- }()
	changed := h.changed
	var by <-chan time.Time
	if !h.writeBy.IsZero() {
		t := time.NewTimer(time.Until(h.writeBy))
		defer t.Stop()
		by = t.C
	}
	h.mu.Unlock()
	select {
	case <-changed:
	case <-by:
	}
	h.mu.Lock()
}

func past(t time.Time) bool { return !t.IsZero() && !time.Now().Before(t) }

func (h *half) read(b []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	defer h.ring() // there may be another reader
	for {
		switch {
		case h.readerGone:
			return 0, net.ErrClosed
		case past(h.readBy):
			return 0, os.ErrDeadlineExceeded
		case len(h.chunks) > 0 && past(h.chunks[0].at):
			return h.take(b), nil
		case len(h.chunks) == 0 && h.writerGone && !h.stalled && past(h.last):
			return 0, io.EOF
		}
		h.waitToRead()
	}
}

func (h *half) take(b []byte) int {
	n := copy(b, h.chunks[0].data)
	h.chunks[0].data = h.chunks[0].data[n:]
	if len(h.chunks[0].data) == 0 {
		h.chunks = h.chunks[1:]
	}
	h.size -= n
	h.tell()
	return n
}

func (h *half) write(b []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	written := 0
	for len(b) > 0 {
		switch {
		case h.writerGone:
			return written, net.ErrClosed
		case h.readerGone && !h.stalled:
			return written, io.ErrClosedPipe
		case past(h.writeBy):
			return written, os.ErrDeadlineExceeded
		case h.size >= streamWindow:
			h.waitToWrite()
			continue
		}
		n := min(len(b), streamWindow-h.size)
		h.put(b[:n])
		written += n
		b = b[n:]
	}
	return written, nil
}

func (h *half) put(b []byte) {
	h.size += len(b)
	at, arrives := h.network.arrival(h.from, h.to, h.network.streamLoss())
	if !arrives {
		h.stalled = true
	}
	if h.stalled {
		return // it fills the window and never arrives
	}
	if !at.After(h.last) {
		at = h.last.Add(1)
	}
	h.last = at
	h.network.count(len(b))
	h.chunks = append(h.chunks, chunk{at: at, data: append([]byte(nil), b...)})
	if len(h.chunks) == 1 {
		h.ring()
	}
}
