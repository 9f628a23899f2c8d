package mesh

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"strconv"
	"syscall"
	"time"

	"github.com/hashicorp/memberlist"
)

// gossipTransport is memberlist's own, but that its dials end with it: a join
// of an address that does not answer must not hold up a shutdown.
type gossipTransport struct {
	*memberlist.NetTransport
	ctx    context.Context // the transport's own life
	cancel context.CancelFunc
}

var _ memberlist.NodeAwareTransport = (*gossipTransport)(nil)

// bindGossip listens on a host:port for TCP and UDP, and returns the address
// with the port that it got.
func bindGossip(bind string, logs *serfLog) (*gossipTransport, string, error) {
	host, port, err := splitPort(bind)
	if err != nil {
		return nil, "", fmt.Errorf("gossip bind: %w", err)
	}
	if host == "" {
		host = "0.0.0.0"
	}
	ip := net.ParseIP(host)
	if ip == nil {
		resolved, err := net.ResolveIPAddr("ip", host)
		if err != nil {
			return nil, "", fmt.Errorf("gossip bind: resolve %q: %w", host, err)
		}
		ip = resolved.IP
	}
	nt, err := memberlist.NewNetTransport(&memberlist.NetTransportConfig{
		BindAddrs: []string{ip.String()}, BindPort: port, Logger: log.New(logs, "", 0),
	})
	if err != nil {
		return nil, "", bindError(net.JoinHostPort(host, strconv.Itoa(port)), err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	bound := net.JoinHostPort(ip.String(), strconv.Itoa(nt.GetAutoBindPort()))
	return &gossipTransport{NetTransport: nt, ctx: ctx, cancel: cancel}, bound, nil
}

// bindError says what to do about a socket that cannot be bound. memberlist
// does not wrap the cause, so it is found by trying once more.
func bindError(addr string, err error) error {
	l, again := net.Listen("tcp", addr) //nolint:noctx // closed at once
	if again == nil {
		_ = l.Close()
		var p net.PacketConn
		if p, again = net.ListenPacket("udp", addr); again == nil { //nolint:noctx // closed at once
			_ = p.Close()
		}
	}
	switch {
	case errors.Is(again, syscall.EADDRINUSE):
		return fmt.Errorf("gossip address %s is in use by another process (TCP or UDP); stop that one, or bind gossip to another port: %w", addr, again)
	case errors.Is(again, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("gossip address %s is not an address of this machine; bind gossip to one that is, or to 0.0.0.0: %w", addr, again)
	default:
		return fmt.Errorf("bind gossip to %s: %w", addr, err)
	}
}

// DialAddressTimeout implements memberlist.NodeAwareTransport.
func (t *gossipTransport) DialAddressTimeout(a memberlist.Address, timeout time.Duration) (net.Conn, error) {
	d := net.Dialer{Timeout: timeout}
	return d.DialContext(t.ctx, "tcp", a.Addr)
}

// DialTimeout implements memberlist.Transport.
func (t *gossipTransport) DialTimeout(addr string, timeout time.Duration) (net.Conn, error) {
	return t.DialAddressTimeout(memberlist.Address{Addr: addr}, timeout)
}

// Shutdown implements memberlist.Transport.
func (t *gossipTransport) Shutdown() error {
	t.cancel()
	return t.NetTransport.Shutdown()
}

// interrupt ends dials that are under way, and refuses further ones.
func (t *gossipTransport) interrupt() { t.cancel() }
