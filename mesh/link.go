package mesh

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"grapevine/fleet"
	"grapevine/mesh/exchange"
	"grapevine/mesh/wire"
)

const (
	// pingEvery is how often the side that dialled asks for a sign of life.
	pingEvery = time.Second
	// silence is how long a link may bring nothing, or take nothing, before it
	// is dropped.
	silence = 5 * time.Second
	// compareEvery is how often the side that dialled compares roots.
	compareEvery = 30 * time.Second
	// farewell is how long a bye may take to be written.
	farewell = 500 * time.Millisecond
	// writeStep is how much is written under one deadline.
	writeStep = 64 << 10
)

// link is one stream between this node and a peer, past its hello. One
// goroutine reads and one writes; what there is to write is asked of the
// exchange at the moment of writing, so nothing queues up here.
type link struct {
	conn     net.Conn
	reader   *bufio.Reader
	outbound bool
	hello    *wire.Hello    // the peer's
	peer     *exchange.Peer // set when the link is added
	up       time.Time

	wake   chan struct{}
	cancel context.CancelFunc
	bye    atomic.Pointer[wire.Bye] // why this side ends the link

	ready    atomic.Bool   // the peer holds the whole fleet
	pong     atomic.Uint64 // ping to answer, 0 for none
	ping     atomic.Uint64 // last ping sent
	pingAt   atomic.Int64  // when, in ns since up
	rtt      atomic.Int64  // ns
	sent     atomic.Uint64
	received atomic.Uint64
	buf      []byte // of the writer
}

// byeError is how a link ends when the peer says why.
type byeError struct{ wire.Bye }

func (e *byeError) Error() string { return fmt.Sprintf("peer ended the link: %s", e.Detail) }

func newLink(conn net.Conn, outbound bool, traffic *traffic) *link {
	l := &link{conn: conn, outbound: outbound, up: time.Now(), wake: make(chan struct{}, 1), cancel: func() {}}
	l.reader = bufio.NewReaderSize(&patientReader{conn, l, traffic}, 32<<10)
	return l
}

// patientReader fails when nothing at all comes for as long as silence.
type patientReader struct {
	conn    net.Conn
	link    *link
	traffic *traffic
}

func (r *patientReader) Read(b []byte) (int, error) {
	if err := r.conn.SetReadDeadline(time.Now().Add(silence)); err != nil {
		return 0, err
	}
	n, err := r.conn.Read(b)
	r.link.received.Add(uint64(n)) // not negative
	r.traffic.received.Add(uint64(n))
	return n, err
}

// stop ends the link from this side, saying why.
func (l *link) stop(reason wire.ByeReason, detail string) {
	l.bye.CompareAndSwap(nil, &wire.Bye{Reason: reason, Detail: detail})
	l.cancel()
}

// send writes one message.
func (m *Mesh) send(l *link, msg wire.Message, patience time.Duration) error {
	frame, err := wire.AppendFrame(l.buf[:0], msg)
	if err != nil {
		return err
	}
	if cap(frame) <= 1<<20 {
		l.buf = frame // the next frame's
	}
	for len(frame) > 0 {
		if err := l.conn.SetWriteDeadline(time.Now().Add(patience)); err != nil {
			return err
		}
		n, err := l.conn.Write(frame[:min(len(frame), writeStep)])
		l.sent.Add(uint64(n)) // not negative
		m.traffic.sent.Add(uint64(n))
		if err != nil {
			return err
		}
		frame = frame[n:]
	}
	return nil
}

// serve adds the link and works it until ctx ends, the peer goes, or either
// side ends it. It closes the connection. The error says why it ended.
func (m *Mesh) serve(ctx context.Context, l *link, added func()) error {
	defer l.conn.Close()
	running := ctx
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	l.cancel = cancel
	if bye := m.add(l); bye != nil {
		_ = m.send(l, bye, farewell)
		return &byeError{*bye}
	}
	defer m.remove(l)
	added()
	read := make(chan error, 1)
	go func() {
		err := m.read(l)
		if errors.Is(err, exchange.ErrProtocol) || errors.Is(err, wire.ErrBadFrame) {
			m.cfg.Log.Warn("link dropped", "peer", l.peer.ID, "peer_name", l.hello.Name, "error", err)
			l.stop(wire.ByeProtocol, err.Error())
		}
		read <- err
		cancel()
	}()
	// A write that hangs must not outlive the link.
	stop := context.AfterFunc(ctx, func() { _ = l.conn.SetWriteDeadline(time.Now().Add(farewell)) })
	defer stop()
	wrote := m.write(ctx, l)
	if running.Err() != nil {
		l.stop(wire.ByeLeaving, "shutting down")
	}
	if bye := l.bye.Load(); bye != nil && wrote == nil {
		wrote = m.send(l, bye, farewell)
	}
	_ = l.conn.Close()
	err := <-read
	switch {
	case l.bye.Load() != nil:
		return &byeError{*l.bye.Load()}
	case ctx.Err() == nil || errors.Is(err, net.ErrClosed):
		return wrote
	default:
		return err
	}
}

// read takes the peer's messages until the stream ends.
func (m *Mesh) read(l *link) error {
	for {
		msg, _, err := wire.ReadFrame(l.reader)
		if err != nil {
			return err
		}
		switch msg := msg.(type) {
		case nil: // of a later version
		case *wire.Ping:
			l.ready.Store(msg.Ready)
			l.pong.Store(msg.Number)
			notify(l.wake)
		case *wire.Pong:
			l.ready.Store(msg.Ready)
			if msg.Number == l.ping.Load() {
				l.rtt.Store(int64(time.Since(l.up)) - l.pingAt.Load())
			}
		case *wire.Bye:
			return &byeError{*msg}
		default:
			if err := m.receive(l, msg); err != nil {
				return err
			}
		}
	}
}

func (m *Mesh) receive(l *link, msg wire.Message) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	err := m.exchange.Receive(l.peer, msg, time.Now())
	if m.exchange.SelfHeard() {
		notify(m.selfHeard)
	}
	return err
}

// write sends what the exchange has for the peer, pings and pongs, until ctx
// ends, when it returns nil.
func (m *Mesh) write(ctx context.Context, l *link) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	ping, compare := time.Now().Add(pingEvery), time.Now().Add(jitter(compareEvery))
	for {
		if ctx.Err() != nil {
			return nil
		}
		now := time.Now()
		if l.outbound && !now.Before(compare) {
			compare = now.Add(compareEvery)
			m.compare(l)
		}
		var msg wire.Message
		due := time.Time{}
		switch number := l.pong.Swap(0); {
		case number != 0:
			msg = &wire.Pong{Number: number, Ready: m.evaluate(now) == nil}
		case l.outbound && !now.Before(ping):
			ping = now.Add(pingEvery)
			msg = m.nextPing(l, now)
		default:
			msg, due = m.next(l, now)
		}
		if msg != nil {
			if err := m.send(l, msg, silence); err != nil {
				return fmt.Errorf("write to link: %w", err)
			}
			continue
		}
		if l.outbound && (due.IsZero() || ping.Before(due)) {
			due = ping
		}
		if due.IsZero() {
			timer.Stop()
		} else {
			timer.Reset(max(due.Sub(now), 0))
		}
		select {
		case <-ctx.Done():
		case <-l.wake:
		case <-timer.C:
		}
	}
}

func (m *Mesh) compare(l *link) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.exchange.Compare(l.peer)
}

func (m *Mesh) next(l *link, now time.Time) (wire.Message, time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	msg := m.exchange.Next(l.peer, now)
	return msg, l.peer.Due(now)
}

func (m *Mesh) nextPing(l *link, now time.Time) wire.Message {
	l.pingAt.Store(int64(now.Sub(l.up)))
	return &wire.Ping{Number: l.ping.Add(1), Ready: m.evaluate(now) == nil}
}

// LinkList returns the links that are up, ordered by peer.
func (m *Mesh) LinkList() []fleet.Link {
	m.mu.Lock()
	defer m.mu.Unlock()
	list := make([]fleet.Link, 0, len(m.links))
	for l := range m.links {
		list = append(list, fleet.Link{
			Peer: l.peer.ID, PeerName: l.hello.Name, Outbound: l.outbound,
			UpMS: time.Since(l.up).Milliseconds(), RTTMS: float64(l.rtt.Load()) / float64(time.Millisecond),
			SentBytes: l.sent.Load(), ReceivedBytes: l.received.Load(),
			Announced: l.peer.Announced(), Wanted: l.peer.Wanted(), Dirty: l.peer.Dirty(),
		})
	}
	sortLinks(list)
	return list
}
