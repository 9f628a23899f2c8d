package mesh

import (
	"context"
	"fmt"
	"net"
	"slices"
	"time"

	"grapevine/fleet"
	"grapevine/mesh/wire"
)

// helloTimeout bounds the time until both sides have said hello.
const helloTimeout = 5 * time.Second

// Accept takes over a stream that peer, as its certificate says, opened to
// this agent, and blocks until the link ends; it closes conn. It returns at
// once when the link is refused.
func (m *Mesh) Accept(ctx context.Context, conn net.Conn, peer fleet.UUID) {
	defer conn.Close()
	l := newLink(conn, false, &m.traffic)
	if !m.admit(conn) {
		return
	}
	defer m.release(conn)
	if err := m.greet(ctx, l, peer); err != nil {
		m.cfg.Log.Debug("link refused", "peer", peer, "error", err)
		return
	}
	err := m.serve(ctx, l, func() {})
	m.cfg.Log.Debug("link ended", "peer", peer, "error", err)
}

// admit counts an accepted stream, unless the mesh is not running.
func (m *Mesh) admit(conn net.Conn) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed || m.started.IsZero() {
		return false
	}
	m.inbound++
	m.greeting[conn] = true
	m.accepts.Add(1)
	return true
}

func (m *Mesh) release(conn net.Conn) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.inbound--
	delete(m.greeting, conn)
	m.accepts.Done()
}

// greet exchanges hellos. The side that dialled speaks first, so that the
// other can answer with a bye. Peer is who the other side must be.
func (m *Mesh) greet(ctx context.Context, l *link, peer fleet.UUID) error {
	ctx, cancel := context.WithTimeout(ctx, helloTimeout)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = l.conn.Close() })
	defer stop()
	if l.outbound {
		if err := m.send(l, m.hello(peer), helloTimeout); err != nil {
			return fmt.Errorf("say hello: %w", err)
		}
	}
	msg, _, err := wire.ReadFrame(l.reader)
	if err != nil {
		return fmt.Errorf("wait for hello: %w", err)
	}
	switch msg := msg.(type) {
	case *wire.Hello:
		l.hello = msg
	case *wire.Bye:
		return &byeError{*msg}
	default:
		return fmt.Errorf("wait for hello: got %T", msg)
	}
	l.ready.Store(l.hello.Ready)
	if bye := m.judge(l, peer); bye != nil {
		_ = m.send(l, bye, farewell)
		return &byeError{*bye}
	}
	if !l.outbound {
		if err := m.send(l, m.hello(l.hello.ID), helloTimeout); err != nil {
			return fmt.Errorf("say hello: %w", err)
		}
	}
	return nil
}

func (m *Mesh) hello(peer fleet.UUID) *wire.Hello {
	return &wire.Hello{
		Protocol: Protocol, MinProtocol: MinProtocol, Label: m.cfg.Label,
		ID: m.cfg.ID, Role: m.cfg.Role, Name: m.cfg.Name, Gossip: m.members.Advertised(),
		Ready: m.evaluate(time.Now()) == nil, Settled: m.Settled(), Yours: m.lifeOf(peer),
	}
}

// judge returns why there can be no link with who said this hello, or nil.
func (m *Mesh) judge(l *link, peer fleet.UUID) *wire.Bye {
	h := l.hello
	switch {
	case h.Label != m.cfg.Label:
		return &wire.Bye{Reason: wire.ByeLabel, Detail: fmt.Sprintf("this fleet's label is %q, not %q", m.cfg.Label, h.Label)}
	case h.MinProtocol > Protocol || h.Protocol < MinProtocol:
		return &wire.Bye{Reason: wire.ByeVersion, Detail: fmt.Sprintf("link protocol %d to %d is spoken here, %d to %d there; upgrade the older one", MinProtocol, Protocol, h.MinProtocol, h.Protocol)}
	case h.ID != peer && !peer.IsZero():
		return &wire.Bye{Reason: wire.ByeIdentity, Detail: fmt.Sprintf("the certificate is of %s, the hello of %s", peer, h.ID)}
	case h.ID == m.cfg.ID:
		return &wire.Bye{Reason: wire.ByeIdentity, Detail: "this is the dialling node itself"}
	case !l.outbound && m.full():
		return &wire.Bye{Reason: wire.ByeFull, Detail: fmt.Sprintf("all %d links are taken", m.cfg.MaxInbound)}
	default:
		return nil
	}
}

// full reports whether more streams came in than are accepted, the one in
// question counted.
func (m *Mesh) full() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.inbound > m.cfg.MaxInbound || m.cfg.Role == fleet.RoleRegistry
}

// add makes the link one of the node's, or says why not. Of two links with one
// peer the newer stays if the same side dialled both; otherwise the one that
// the side with the smaller id dialled: so both sides drop the same one.
func (m *Mesh) add(l *link) *wire.Bye {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.greeting, l.conn)
	if m.closed {
		return &wire.Bye{Reason: wire.ByeLeaving, Detail: "shutting down"}
	}
	for other := range m.links {
		if other.peer.ID != l.hello.ID {
			continue
		}
		smaller := m.cfg.ID.Compare(l.hello.ID) < 0
		if other.outbound != l.outbound && l.outbound != smaller {
			return &wire.Bye{Reason: wire.ByeDuplicate, Detail: "another link of this pair stays"}
		}
		other.stop(wire.ByeDuplicate, "another link of this pair stays")
	}
	l.peer = m.exchange.Connect(l.hello.ID, l.outbound, func() { notify(l.wake) }, time.Now())
	m.links[l] = true
	if yours := l.hello.Yours; yours != nil && m.origin != nil {
		m.exchange.HearSelf(*yours)
	}
	notify(m.selfHeard)
	return nil
}

func (m *Mesh) remove(l *link) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.links, l)
	m.exchange.Disconnect(l.peer, time.Now())
	notify(m.timer)
	notify(m.linksMoved)
}

// closeLinks ends all links and lets no further one come.
func (m *Mesh) closeLinks() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	for l := range m.links {
		l.stop(wire.ByeLeaving, "shutting down")
	}
	for conn := range m.greeting {
		_ = conn.Close()
	}
}

func sortLinks(list []fleet.Link) {
	slices.SortFunc(list, func(a, b fleet.Link) int { return a.Peer.Compare(b.Peer) })
}
