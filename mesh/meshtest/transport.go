package meshtest

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
)

// packetQueue is how many packets wait for a slow reader; more are dropped, as
// in a socket's buffer.
const packetQueue = 1024

// Transport carries memberlist's gossip over the network, so that real Serf
// runs in virtual time. It buffers and drops, and never blocks.
type Transport struct {
	network  *Network
	addr     string
	listener *Listener
	packets  chan *memberlist.Packet
	streams  chan net.Conn
	ctx      context.Context // the transport's own life
	cancel   context.CancelFunc
	wg       sync.WaitGroup
}

var _ memberlist.NodeAwareTransport = (*Transport)(nil)

// Transport returns the gossip socket of a node at an address, ip:port.
func (n *Network) Transport(addr string) *Transport {
	ctx, cancel := context.WithCancel(context.Background())
	t := &Transport{
		network: n, addr: addr, listener: n.Listen(addr), ctx: ctx, cancel: cancel,
		packets: make(chan *memberlist.Packet, packetQueue), streams: make(chan net.Conn),
	}
	n.mu.Lock()
	n.transports[addr] = t
	n.mu.Unlock()
	t.wg.Go(t.accept)
	return t
}

func (t *Transport) accept() {
	for {
		c, err := t.listener.Accept()
		if err != nil {
			return
		}
		select {
		case t.streams <- c:
		case <-t.ctx.Done():
			_ = c.Close()
			return
		}
	}
}

// FinalAdvertiseAddr implements memberlist.Transport.
func (t *Transport) FinalAdvertiseAddr(string, int) (net.IP, int, error) {
	host, port, err := net.SplitHostPort(t.addr)
	if err != nil {
		return nil, 0, fmt.Errorf("address %q: %w", t.addr, err)
	}
	n, err := strconv.Atoi(port)
	return net.ParseIP(host), n, err
}

// WriteTo implements memberlist.Transport.
func (t *Transport) WriteTo(b []byte, addr string) (time.Time, error) {
	at, arrives := t.network.arrival(hostOf(t.addr), hostOf(addr), t.network.packetLoss())
	if !arrives || t.ctx.Err() != nil {
		return time.Now(), nil
	}
	packet := &memberlist.Packet{Buf: append([]byte(nil), b...), From: address(t.addr)}
	time.AfterFunc(time.Until(at), func() {
		t.network.mu.Lock()
		to := t.network.transports[addr]
		t.network.mu.Unlock()
		if to == nil {
			return
		}
		packet.Timestamp = time.Now()
		select {
		case to.packets <- packet:
		default: // the reader is slow: dropped
		}
	})
	return time.Now(), nil
}

// WriteToAddress implements memberlist.NodeAwareTransport.
func (t *Transport) WriteToAddress(b []byte, a memberlist.Address) (time.Time, error) {
	return t.WriteTo(b, a.Addr)
}

// PacketCh implements memberlist.Transport.
func (t *Transport) PacketCh() <-chan *memberlist.Packet { return t.packets }

// DialTimeout implements memberlist.Transport.
func (t *Transport) DialTimeout(addr string, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(t.ctx, timeout)
	defer cancel()
	return t.network.Dial(ctx, hostOf(t.addr), addr)
}

// DialAddressTimeout implements memberlist.NodeAwareTransport.
func (t *Transport) DialAddressTimeout(a memberlist.Address, timeout time.Duration) (net.Conn, error) {
	return t.DialTimeout(a.Addr, timeout)
}

// StreamCh implements memberlist.Transport.
func (t *Transport) StreamCh() <-chan net.Conn { return t.streams }

// Shutdown implements memberlist.Transport.
func (t *Transport) Shutdown() error {
	t.cancel()
	t.network.mu.Lock()
	if t.network.transports[t.addr] == t {
		delete(t.network.transports, t.addr)
	}
	t.network.mu.Unlock()
	_ = t.listener.Close()
	t.wg.Wait()
	return nil
}
