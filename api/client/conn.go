package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"grapevine/internal/rawtcp"
)

// alertGrace is how long a failed write waits for the reader beside it to come
// upon the reason. The reason is there already, or never comes.
const alertGrace = time.Second

// tlsConn remembers that the node refused our certificate. With TLS 1.3 that
// news arrives after our side has finished the handshake and begun to send,
// and net/http may see the broken pipe before it sees the alert. Yet a request
// on such a connection has reached no handler: it was surely not processed.
type tlsConn struct {
	*tls.Conn

	once    sync.Once
	ended   chan struct{} // closed at the first failed read, after refused is set
	refused error         // may be read once ended is closed
}

// dialTLS connects with these settings; nil trusts the system's authorities.
func dialTLS(dial dialFunc, config *tls.Config) dialFunc {
	if config == nil {
		config = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		raw, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		settings := config.Clone()
		if settings.ServerName == "" {
			settings.ServerName, _, _ = net.SplitHostPort(addr) // net/http made it of host and port
		}
		conn := tls.Client(rawtcp.Wrap(raw), settings)
		ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
		defer cancel()
		if err := conn.HandshakeContext(ctx); err != nil {
			return nil, errors.Join(fmt.Errorf("shake hands: %w", err), raw.Close())
		}
		return &tlsConn{Conn: conn, ended: make(chan struct{})}, nil
	}
}

// Read implements net.Conn. Net/http always has a read under way.
func (c *tlsConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err != nil {
		c.once.Do(func() {
			if isCertificateAlert(err) {
				c.refused = err
			}
			close(c.ended)
		})
	}
	return n, err
}

// Write implements net.Conn.
func (c *tlsConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if err != nil {
		timer := time.NewTimer(alertGrace)
		defer timer.Stop()
		select {
		case <-c.ended:
		case <-timer.C:
		}
	}
	return n, err
}

// refusal returns the alert with which the node refused our certificate on
// this connection, nil if it did not.
func refusal(conn net.Conn) error {
	c, ok := conn.(*tlsConn)
	if !ok {
		return nil
	}
	select {
	case <-c.ended:
		return c.refused
	default:
		return nil
	}
}

// isCertificateAlert reports whether err is a peer's word that it does not
// take our certificate. Crypto/tls gives these alerts no exported type, only
// words; none of them is sent once a handshake is over.
func isCertificateAlert(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "remote error" && strings.Contains(op.Err.Error(), "certificate")
}
