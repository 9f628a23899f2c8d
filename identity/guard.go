package identity

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"sync"
	"time"
)

// guards are the connections that must not outlive what was shown for them.
type guards struct {
	mu   sync.Mutex
	open map[*guarded]struct{} // guarded by mu
}

// guarded closes itself when the peer's certificate ends or is revoked.
type guarded struct {
	net.Conn
	peer *x509.Certificate
	end  *time.Timer
	of   *guards
}

// Guard returns a connection that is closed when the peer's certificate ends or
// is revoked. The handshake is done; close what is returned.
func (id *Identity) Guard(conn *tls.Conn) net.Conn {
	shown := conn.ConnectionState().PeerCertificates
	if len(shown) == 0 {
		return conn
	}
	g := &guarded{Conn: conn, peer: shown[0], of: &id.guards}
	id.guards.mu.Lock()
	if id.guards.open == nil {
		id.guards.open = map[*guarded]struct{}{}
	}
	id.guards.open[g] = struct{}{}
	g.end = time.AfterFunc(time.Until(g.peer.NotAfter), func() { _ = g.Close() })
	id.guards.mu.Unlock()
	// A revocation may have come since the handshake.
	if subject, err := SubjectOf(g.peer); err != nil || id.checkRevoked(subject, g.peer) != nil {
		_ = g.Close()
	}
	return g
}

// Close implements net.Conn.
func (g *guarded) Close() error {
	g.of.mu.Lock()
	delete(g.of.open, g)
	g.end.Stop()
	g.of.mu.Unlock()
	return g.Conn.Close()
}

// closeIf closes the connections to peers with certificates like this.
func (s *guards) closeIf(refused func(*x509.Certificate) bool) {
	s.mu.Lock()
	var found []*guarded
	for g := range s.open {
		if refused(g.peer) {
			found = append(found, g)
		}
	}
	s.mu.Unlock()
	for _, g := range found {
		_ = g.Close()
	}
}
