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

// guarded closes itself when the peer's certificate ends, is revoked, or is of a
// root that is dropped.
type guarded struct {
	net.Conn
	peer *x509.Certificate
	way  []*x509.Certificate // what was shown: peer, and what leads to a root
	end  *time.Timer
	of   *guards
}

// Guard returns a connection that is closed when the peer's certificate ends, is
// revoked, or is of a root that is dropped. The handshake is done; close what is returned.
func (id *Identity) Guard(conn *tls.Conn) net.Conn {
	shown := conn.ConnectionState().PeerCertificates
	if len(shown) == 0 {
		return conn
	}
	g := &guarded{Conn: conn, peer: shown[0], way: shown, of: &id.guards}
	id.guards.mu.Lock()
	if id.guards.open == nil {
		id.guards.open = map[*guarded]struct{}{}
	}
	id.guards.open[g] = struct{}{}
	g.end = time.AfterFunc(time.Until(g.peer.NotAfter), func() { _ = g.Close() })
	id.guards.mu.Unlock()
	// A revocation, or other roots, may have come since the handshake.
	if id.refuses(g) || !id.current.Load().vouches(g.way) {
		_ = g.Close()
	}
	return g
}

// refuses reports whether the peer was revoked.
func (id *Identity) refuses(g *guarded) bool {
	subject, err := SubjectOf(g.peer)
	return err != nil || id.checkRevoked(subject, g.peer) != nil
}

// vouches reports whether a root that is trusted vouches for what was shown,
// whether or not it has ended.
func (p *proof) vouches(shown []*x509.Certificate) bool {
	_, err := p.verify(shown, x509.VerifyOptions{CurrentTime: withinAll(shown), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	return err == nil
}

// Close implements net.Conn.
func (g *guarded) Close() error {
	g.of.mu.Lock()
	delete(g.of.open, g)
	g.end.Stop()
	g.of.mu.Unlock()
	return g.Conn.Close()
}

// closeIf closes the connections that are refused now.
func (s *guards) closeIf(refused func(*guarded) bool) {
	s.mu.Lock()
	var found []*guarded
	for g := range s.open {
		if refused(g) {
			found = append(found, g)
		}
	}
	s.mu.Unlock()
	for _, g := range found {
		_ = g.Close()
	}
}
