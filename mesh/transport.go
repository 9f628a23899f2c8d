package mesh

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/go-sockaddr"
	"github.com/hashicorp/memberlist"

	"grapevine/fleet"
	"grapevine/internal/crowd"
	"grapevine/internal/pause"
	"grapevine/internal/rawudp"
)

// acceptPause is how long a listener that fails is left alone.
const acceptPause = 100 * time.Millisecond

// gossipTransport is memberlist's NetTransport with some things changed: its
// packets go past Go's scheduler, and cost a buffer of their own size; its dials
// end with it, for a join of an address that does not answer must not hold up a
// shutdown; and the streams that it takes are bounded.
type gossipTransport struct {
	bound    *net.TCPAddr
	listener *net.TCPListener
	socket   rawudp.Conn
	logs     *serfLog
	crowd    crowd.Crowd
	packets  chan *memberlist.Packet
	streams  chan net.Conn

	life    context.Context // the transport's own
	end     context.CancelFunc
	dialing context.Context // may end before
	// interrupt ends dials that are under way, and refuses further ones.
	interrupt context.CancelFunc
	work      sync.WaitGroup
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
	listener, err := net.ListenTCP("tcp", &net.TCPAddr{IP: ip, Port: port})
	if err != nil {
		return nil, "", bindError(net.JoinHostPort(host, strconv.Itoa(port)), err)
	}
	port = listener.Addr().(*net.TCPAddr).Port
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: ip, Port: port})
	if err != nil {
		_ = listener.Close()
		return nil, "", bindError(net.JoinHostPort(host, strconv.Itoa(port)), err)
	}
	t := newGossipTransport(&net.TCPAddr{IP: ip, Port: port}, listener, socket, logs)
	return t, t.bound.String(), nil
}

// newGossipTransport takes sockets over.
func newGossipTransport(bound *net.TCPAddr, listener *net.TCPListener, socket *net.UDPConn, logs *serfLog) *gossipTransport {
	roomForPackets(socket)
	t := &gossipTransport{
		bound: bound, listener: listener, socket: rawudp.Wrap(socket), logs: logs,
		crowd:   crowd.Crowd{All: fleet.MaxGossipStreams, Each: fleet.MaxGossipStreamsEach},
		packets: make(chan *memberlist.Packet), streams: make(chan net.Conn),
	}
	t.life, t.end = context.WithCancel(context.Background())
	t.dialing, t.interrupt = context.WithCancel(t.life)
	t.work.Go(t.accept)
	t.work.Go(t.receive)
	return t
}

// bindError says what to do about a socket that cannot be bound.
func bindError(addr string, err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("gossip address %s is in use by another process (TCP or UDP); stop that one, or bind gossip to another port: %w", addr, err)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("gossip address %s is not an address of this machine; bind gossip to one that is, or to 0.0.0.0: %w", addr, err)
	default:
		return fmt.Errorf("bind gossip to %s: %w", addr, err)
	}
}

// FinalAdvertiseAddr implements memberlist.Transport.
func (t *gossipTransport) FinalAdvertiseAddr(configured string, port int) (net.IP, int, error) {
	if configured != "" {
		ip := net.ParseIP(configured)
		if ip == nil {
			return nil, 0, fmt.Errorf("advertised address %q is no IP address", configured)
		}
		return ip, port, nil
	}
	if !t.bound.IP.Equal(net.IPv4zero) {
		return t.bound.IP, t.bound.Port, nil
	}
	private, err := sockaddr.GetPrivateIP()
	if err != nil {
		return nil, 0, fmt.Errorf("look for a private address: %w", err)
	}
	ip := net.ParseIP(private)
	if ip == nil {
		return nil, 0, errors.New("this machine has no private address")
	}
	return ip, t.bound.Port, nil
}

// DialAddressTimeout implements memberlist.NodeAwareTransport.
func (t *gossipTransport) DialAddressTimeout(a memberlist.Address, timeout time.Duration) (net.Conn, error) {
	d := net.Dialer{Timeout: timeout}
	return d.DialContext(t.dialing, "tcp", a.Addr)
}

// DialTimeout implements memberlist.Transport.
func (t *gossipTransport) DialTimeout(addr string, timeout time.Duration) (net.Conn, error) {
	return t.DialAddressTimeout(memberlist.Address{Addr: addr}, timeout)
}

// StreamCh implements memberlist.Transport.
func (t *gossipTransport) StreamCh() <-chan net.Conn { return t.streams }

// accept hands over the connections that come in, until the transport ends.
func (t *gossipTransport) accept() {
	for {
		conn, err := t.listener.Accept()
		if err != nil {
			if !t.failed("accept a connection", err) {
				return
			}
			continue
		}
		if !t.crowd.Enter(conn.RemoteAddr()) {
			t.logs.log.Debug("gossip stream refused: too many are open", "peer", conn.RemoteAddr())
			_ = conn.Close()
			continue
		}
		select {
		case t.streams <- &boundedStream{Conn: conn, left: fleet.MaxGossipStreamBytes, leave: t.crowd.Leave}:
		case <-t.life.Done():
			t.crowd.Leave(conn.RemoteAddr())
			_ = conn.Close()
			return
		}
	}
}

// failed waits a little after an error of a socket, and reports whether there is
// any use in going on.
func (t *gossipTransport) failed(what string, err error) bool {
	if t.life.Err() != nil {
		return false
	}
	t.logs.log.Debug("gossip socket failed; trying on", "what", what, "error", err)
	return pause.For(t.life, acceptPause)
}

// Shutdown implements memberlist.Transport. No packet and no stream comes after
// it.
func (t *gossipTransport) Shutdown() error {
	t.end()
	_ = t.listener.Close()
	_ = t.socket.Close()
	t.work.Wait()
	return nil
}
