package mesh

import (
	"bufio"
	"context"
	"errors"
	"net"
	"sync/atomic"
	"time"

	"grapevine/fleet"
	"grapevine/mesh/node"
	"grapevine/mesh/wire"
)

const (
	// stuck is how long a link may take nothing before it is dropped, and
	// slack how much longer, so that not every write sets a deadline.
	stuck = 5 * time.Second
	slack = time.Second
	// farewell is how long a bye may take to be written.
	farewell = 500 * time.Millisecond
	// writeStep is how much is written under one deadline.
	writeStep = 64 << 10
	// keptBuffer is how large a buffer for frames a stream keeps
	// from one batch to the next that is not itself larger.
	keptBuffer = 64 << 10
)

// stream is a link's connection. One goroutine reads and one writes; what there
// is to write is asked of the node at the moment of writing, so nothing queues
// up here.
type stream struct {
	conn     net.Conn
	inbox    inbox
	link     *node.Link
	wake     chan struct{}
	deadline time.Time // of writing
	sent     atomic.Uint64
	received atomic.Uint64
	traffic  *traffic
}

func newStream(conn net.Conn, l *node.Link, traffic *traffic) *stream {
	s := &stream{conn: conn, link: l, wake: make(chan struct{}, 1), traffic: traffic}
	s.inbox.source = bufio.NewReaderSize(countingReader{s}, 16<<10)
	l.Stream = s
	return s
}

// countingReader reads the connection.
type countingReader struct{ s *stream }

func (r countingReader) Read(b []byte) (int, error) {
	n, err := r.s.conn.Read(b)
	r.s.received.Add(uint64(n)) // not negative
	r.s.traffic.received.Add(uint64(n))
	return n, err
}

// Accept takes over a stream that peer, as its certificate says, opened to
// this agent, and blocks until the link ends; it closes conn. It returns at
// once when the link is refused.
func (m *Mesh) Accept(ctx context.Context, conn net.Conn, peer fleet.UUID) {
	defer conn.Close()
	var s *stream
	m.do(func(now time.Time) {
		if m.running == nil {
			return
		}
		if l := m.node.Accepted(peer, now); l != nil {
			s = newStream(conn, l, &m.traffic)
			m.work.Add(1)
		}
	})
	if s == nil {
		return
	}
	defer m.work.Done()
	m.serve(ctx, s)
}

// serve works a link until ctx ends, the peer goes, or either side ends it. It
// closes the connection.
func (m *Mesh) serve(ctx context.Context, s *stream) {
	read := make(chan error, 1)
	go func() {
		err := m.read(s)
		read <- err
		notify(s.wake)
		_ = s.conn.SetWriteDeadline(time.Now().Add(farewell)) // a write that hangs must not outlive the link
	}()
	wrote := m.write(ctx, s, read)
	_ = s.conn.Close()
	err := <-read
	if errors.Is(err, net.ErrClosed) {
		err = wrote
	}
	m.do(func(now time.Time) { m.node.Ended(s.link, err, now) })
}

// write sends what the node has for the peer, until ctx ends, the node says
// that it was the last, or the reader is done.
func (m *Mesh) write(ctx context.Context, s *stream, read chan error) error {
	var msgs []wire.Message
	var buf []byte
	ended := false
	for {
		var last bool
		m.mu.Lock()
		msgs, last = m.node.Collect(s.link, msgs[:0], time.Now())
		m.mu.Unlock()
		if len(msgs) > 0 {
			var err error
			if buf, err = m.send(s, buf, msgs, last || ended); err != nil {
				return err
			}
			clear(msgs)
		}
		if last || ended {
			return nil
		}
		if len(msgs) > 0 {
			continue
		}
		select {
		case <-ctx.Done():
			m.do(func(time.Time) { m.node.Leaving(s.link) })
			ended = true
		case err := <-read:
			read <- err
			ended = true
		case <-s.wake:
		}
	}
}

// send writes messages in one go.
func (m *Mesh) send(s *stream, buf []byte, msgs []wire.Message, last bool) ([]byte, error) {
	buf = buf[:0]
	for _, msg := range msgs {
		var err error
		if buf, err = wire.AppendFrame(buf, msg); err != nil {
			return nil, err
		}
	}
	for rest := buf; len(rest) > 0; {
		if err := s.limit(last); err != nil {
			return nil, err
		}
		n, err := s.conn.Write(rest[:min(len(rest), writeStep)])
		s.sent.Add(uint64(n)) // not negative
		m.traffic.sent.Add(uint64(n))
		if err != nil {
			return nil, err
		}
		rest = rest[n:]
	}
	if len(buf) <= keptBuffer && cap(buf) > keptBuffer {
		return nil, nil
	}
	return buf, nil
}

// limit sets by when the next write is to be done, if that is not set.
func (s *stream) limit(last bool) error {
	now := time.Now()
	switch {
	case last:
		s.deadline = now.Add(farewell)
	case s.deadline.Sub(now) < stuck:
		s.deadline = now.Add(stuck + slack)
	default:
		return nil
	}
	return s.conn.SetWriteDeadline(s.deadline)
}

// notify wakes the reader of a channel of capacity one.
func notify(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}
