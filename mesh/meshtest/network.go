// Package meshtest is a network in memory, for tests of the mesh in virtual
// time: streams and packets with delay, loss and cuts, between nodes that are
// known by the host part of their addresses.
//
// It starts no goroutine of its own and blocks only on channels and timers, so
// that it works inside testing/synctest, where a test then also proves that
// the code under test leaves no goroutine behind. Every packet and every chunk
// of a stream arrives in a nanosecond of its own, which gives them an order.
package meshtest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"syscall"
	"time"
)

// Options say how the network behaves. The zero value is instant and perfect.
type Options struct {
	Seed uint64
	// MinDelay and MaxDelay bound the time that anything is on its way.
	MinDelay, MaxDelay time.Duration
	// PacketLoss is the share of packets that are lost.
	PacketLoss float64
	// StreamLoss is the share of stream writes that are lost. A stream that
	// lost one stalls for good in that direction: nothing more arrives.
	StreamLoss float64
}

// Network connects nodes.
type Network struct {
	mu         sync.Mutex
	opts       Options
	rng        *rand.Rand
	cut        map[[2]string]bool // from, to
	isolated   map[string]bool
	listeners  map[string]*Listener
	transports map[string]*Transport
	taken      map[int64]bool // arrival times given out
	bytes      uint64
}

// New returns a network without nodes.
func New(opts Options) *Network {
	return &Network{
		opts: opts, rng: rand.New(rand.NewPCG(opts.Seed, 0)), cut: map[[2]string]bool{}, isolated: map[string]bool{}, // repeatable
		listeners: map[string]*Listener{}, transports: map[string]*Transport{}, taken: map[int64]bool{},
	}
}

// SetLoss changes the shares of packets and stream writes that are lost.
func (n *Network) SetLoss(packets, streams float64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.opts.PacketLoss, n.opts.StreamLoss = packets, streams
}

// Cut stops everything between two nodes, both ways. Streams between them
// stall for good; new ones work after Heal.
func (n *Network) Cut(a, b string) {
	n.CutOneWay(a, b)
	n.CutOneWay(b, a)
}

// CutOneWay stops what from sends to to.
func (n *Network) CutOneWay(from, to string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cut[[2]string{from, to}] = true
}

// Partition cuts every node of one group from every node of the other.
func (n *Network) Partition(one, other []string) {
	for _, a := range one {
		for _, b := range other {
			n.Cut(a, b)
		}
	}
}

// Isolate stops everything from and to a node, as when its machine is off.
// Heal does not end that, but Restore.
func (n *Network) Isolate(node string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.isolated[node] = true
}

// Restore ends the isolation of a node.
func (n *Network) Restore(node string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.isolated, node)
}

// Heal ends all cuts.
func (n *Network) Heal() {
	n.mu.Lock()
	defer n.mu.Unlock()
	clear(n.cut)
}

// Bytes returns how many bytes streams have carried.
func (n *Network) Bytes() uint64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.bytes
}

// arrival says when something sent now arrives, and whether it does at all.
func (n *Network) arrival(from, to string, loss float64) (time.Time, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.cut[[2]string{from, to}] || n.isolated[from] || n.isolated[to] || loss > 0 && n.rng.Float64() < loss {
		return time.Time{}, false
	}
	delay := n.opts.MinDelay
	if spread := n.opts.MaxDelay - n.opts.MinDelay; spread > 0 {
		delay += time.Duration(n.rng.Int64N(int64(spread)))
	}
	return n.own(time.Now().Add(delay)), true
}

// own moves a time to the next nanosecond that nothing else arrives in.
func (n *Network) own(at time.Time) time.Time {
	if len(n.taken) > 1<<16 {
		now := time.Now().UnixNano()
		for t := range n.taken {
			if t < now {
				delete(n.taken, t)
			}
		}
	}
	for n.taken[at.UnixNano()] {
		at = at.Add(1)
	}
	n.taken[at.UnixNano()] = true
	return at
}

func (n *Network) streamLoss() float64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.opts.StreamLoss
}

func (n *Network) packetLoss() float64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.opts.PacketLoss
}

func (n *Network) count(bytes int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.bytes += uint64(bytes) // a length
}

// Dial opens a stream from a node to an address. Across a cut it blocks until
// ctx ends, as a lost SYN does; where nobody listens it is refused.
func (n *Network) Dial(ctx context.Context, from, addr string) (net.Conn, error) {
	to := hostOf(addr)
	there, ok := n.arrival(from, to, 0)
	var back time.Time
	if ok {
		back, ok = n.arrival(to, from, 0)
	}
	if !ok {
		<-ctx.Done()
		return nil, fmt.Errorf("dial %s: %w", addr, ctx.Err())
	}
	timer := time.NewTimer(time.Until(there) + time.Until(back))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return nil, fmt.Errorf("dial %s: %w", addr, ctx.Err())
	case <-timer.C:
	}
	n.mu.Lock()
	l := n.listeners[addr]
	n.mu.Unlock()
	if l == nil {
		return nil, fmt.Errorf("dial %s: %w", addr, syscall.ECONNREFUSED)
	}
	ours, theirs := n.pipe(address(from+":0"), address(addr))
	if !l.offer(theirs) {
		return nil, fmt.Errorf("dial %s: %w", addr, syscall.ECONNREFUSED)
	}
	return ours, nil
}

func hostOf(addr string) string {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	return host
}

// address is a host:port of the network.
type address string

func (a address) Network() string { return "mesh" }
func (a address) String() string  { return string(a) }

// backlog is how many streams may wait to be accepted.
const backlog = 128

// Listener takes streams in.
type Listener struct {
	network *Network
	addr    address
	conns   chan net.Conn
	done    chan struct{}
	once    sync.Once
}

var _ net.Listener = (*Listener)(nil)

// Listen takes streams in at an address.
func (n *Network) Listen(addr string) *Listener {
	l := &Listener{network: n, addr: address(addr), conns: make(chan net.Conn, backlog), done: make(chan struct{})}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.listeners[addr] = l
	return l
}

func (l *Listener) offer(c net.Conn) bool {
	select {
	case <-l.done:
		return false
	default:
	}
	select {
	case l.conns <- c:
		return true
	default:
		return false
	}
}

// Accept implements net.Listener.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (l *Listener) Close() error {
	l.once.Do(func() {
		close(l.done)
		l.network.mu.Lock()
		defer l.network.mu.Unlock()
		if l.network.listeners[string(l.addr)] == l {
			delete(l.network.listeners, string(l.addr))
		}
		for {
			select {
			case c := <-l.conns:
				go c.Close() // in its own goroutine: it takes the network's lock
			default:
				return
			}
		}
	})
	return nil
}

// Addr implements net.Listener.
func (l *Listener) Addr() net.Addr { return l.addr }
