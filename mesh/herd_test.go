package mesh

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/hashicorp/serf/serf"

	"grapevine/fleet"
	"grapevine/mesh/meshtest"
)

// herd is many members with real Serf and no links, in virtual time. It hears
// every event of every member, so that no failure passes unseen however short.
type herd struct {
	t       *testing.T
	net     *meshtest.Network
	members []*sheep
	wg      sync.WaitGroup
	start   time.Time

	mu     sync.Mutex
	failed []failure

	key       []byte           // of members to come; nil: gossip in the clear
	heard     func(serf.Event) // gets every event of the first member; nil for nobody
	seeds     []string         // of members to come
	suspected atomic.Int64     // refuted suspicions
	exchanges atomic.Int64     // of all that a member knows: each join is one
}

// failure is one member's word that another has failed.
type failure struct {
	by, about string
	at        time.Duration // since the herd began
}

type sheep struct {
	*serfMembers
	name  string
	stop  context.CancelFunc
	heard func(serf.Event) // gets every event; nil for nobody
	gone  bool
}

func newHerd(t *testing.T, opts meshtest.Options) *herd {
	t.Helper()
	return &herd{t: t, net: meshtest.New(opts), key: make([]byte, 32), start: time.Now()}
}

// add starts a member; wrap may put something between it and the network.
func (h *herd) add(wrap func(context.Context, *herd, memberlist.NodeAwareTransport) memberlist.NodeAwareTransport) {
	h.t.Helper()
	name := nameOf(len(h.members))
	ctx, stop := context.WithCancel(context.Background())
	var transport memberlist.NodeAwareTransport = h.net.Transport(name + ":7946")
	if wrap != nil {
		transport = wrap(ctx, h, transport)
	}
	cfg := Config{
		ID: idOf(name), Name: name, Role: fleet.RoleAgent, API: name + ":7947", Key: h.key, Epochs: &meshtest.Epochs{},
		Dial: func(context.Context, string, fleet.UUID) (net.Conn, error) { return nil, net.ErrClosed },
	}
	cfg = cfg.withDefaults()
	cfg.Join = h.seeds
	cfg.Log = slog.New(counting{slog.DiscardHandler, map[string]*atomic.Int64{
		"Refuting a suspect message": &h.suspected, "Initiating push/pull sync": &h.exchanges,
	}})
	s, err := serfMembersOn(cfg, transport, name+":7946", newSerfLog(cfg.Log))
	if err != nil {
		h.t.Fatal(err)
	}
	if err := s.Start(); err != nil {
		h.t.Fatal(err)
	}
	x := &sheep{serfMembers: s, name: name, stop: stop}
	if len(h.members) == 0 {
		x.heard = h.heard
	}
	h.members = append(h.members, x)
	h.wg.Go(func() { h.listen(ctx, x) })
	h.wg.Go(func() { x.keepRefuting(ctx) })
	if len(h.seeds) > 0 {
		h.wg.Go(func() { x.keepJoined(ctx) })
	}
}

func (h *herd) listen(ctx context.Context, x *sheep) {
	for {
		select {
		case <-ctx.Done():
			return
		case e := <-x.events:
			if x.heard != nil {
				x.heard(e)
			}
			m, ok := e.(serf.MemberEvent)
			if !ok || m.Type != serf.EventMemberFailed {
				continue
			}
			h.mu.Lock()
			for _, about := range m.Members {
				h.failed = append(h.failed, failure{x.name, about.Tags[tagName], time.Since(h.start)})
			}
			h.mu.Unlock()
		}
	}
}

// join joins those that know nobody to the first, one after the other, and
// waits until all alive know all alive.
func (h *herd) join() {
	h.t.Helper()
	alive := slices.DeleteFunc(slices.Clone(h.members), func(x *sheep) bool { return x.gone })
	for _, x := range alive[1:] {
		for x.aliveNow() == 1 && x.Join(alive[0].name+":7946") != nil {
			time.Sleep(100 * time.Millisecond)
		}
	}
	for _, x := range alive {
		for x.aliveNow() < len(alive) {
			time.Sleep(time.Second)
		}
	}
}

func (x *sheep) aliveNow() (n int) {
	for _, m := range x.Members() {
		if m.Status == fleet.MemberAlive {
			n++
		}
	}
	return n
}

// failures returns, and forgets, what was said of failures.
func (h *herd) failures() []failure {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := h.failed
	h.failed = nil
	return out
}

// kill ends a member without a word: its process, so that its machine refuses
// what is sent to it, or the machine too, so that nothing comes back.
func (h *herd) kill(x *sheep, machine bool) {
	if machine {
		for _, o := range h.members {
			if o != x {
				h.net.Cut(x.name, o.name)
			}
		}
	}
	x.gone = true
	x.end()
}

func (x *sheep) end() {
	x.Close()
	x.stop()
}

func (h *herd) end() {
	for _, x := range h.members {
		if !x.gone {
			x.end()
		}
	}
	h.wg.Wait()
	// memberlist does not wait for a probe that is under way; it ends with its
	// time-out.
	time.Sleep(time.Minute)
}

// counting counts the log lines that hold certain parts.
type counting struct {
	slog.Handler
	parts map[string]*atomic.Int64
}

func (c counting) Enabled(context.Context, slog.Level) bool { return true }

func (c counting) Handle(_ context.Context, r slog.Record) error {
	r.Attrs(func(a slog.Attr) bool {
		for part, n := range c.parts {
			if strings.Contains(a.Value.String(), part) {
				n.Add(1)
			}
		}
		return true
	})
	return nil
}

// lossyStreams makes streams as slow as a network that loses packets makes
// TCP: a lost SYN costs a second, a lost segment a fifth of one and twice that
// at each further loss.
type lossyStreams struct {
	memberlist.NodeAwareTransport
	loss float64
}

func (l lossyStreams) DialAddressTimeout(a memberlist.Address, timeout time.Duration) (net.Conn, error) {
	began := time.Now()
	time.Sleep(min(timeout, lost(2*l.loss, time.Second)))
	if timeout -= time.Since(began); timeout <= 0 {
		return nil, context.DeadlineExceeded
	}
	c, err := l.NodeAwareTransport.DialAddressTimeout(a, timeout)
	if err != nil {
		return nil, err
	}
	return lossyConn{c, l.loss}, nil
}

type lossyConn struct {
	net.Conn
	loss float64
}

func (c lossyConn) Write(b []byte) (int, error) {
	time.Sleep(lost(c.loss, 200*time.Millisecond))
	return c.Conn.Write(b)
}

// lost draws how long a sender waits for losses that each come with a chance.
func lost(chance float64, first time.Duration) (wait time.Duration) {
	for wait < time.Minute && rand.Float64() < chance {
		wait = 2*wait + first
	}
	return wait
}

// busy is a member whose machine has other things to do: it gets the processor
// for a moment and then waits for it. What arrives meanwhile waits too, and so
// does whoever has something to send, as all of a process does.
type busy struct {
	memberlist.NodeAwareTransport
	packets chan *memberlist.Packet
	streams chan net.Conn

	mu   sync.Mutex
	back chan struct{} // closed while it runs
}

// busyFor returns a wrapper for members that run for up to runs, and then
// wait for up to waits.
func busyFor(runs, waits time.Duration) func(context.Context, *herd, memberlist.NodeAwareTransport) memberlist.NodeAwareTransport {
	return func(ctx context.Context, h *herd, t memberlist.NodeAwareTransport) memberlist.NodeAwareTransport {
		b := &busy{
			NodeAwareTransport: t, packets: make(chan *memberlist.Packet), streams: make(chan net.Conn), back: make(chan struct{}),
		}
		close(b.back)
		h.wg.Go(func() { b.run(ctx, runs, waits) })
		return b
	}
}

func (b *busy) PacketCh() <-chan *memberlist.Packet { return b.packets }
func (b *busy) StreamCh() <-chan net.Conn           { return b.streams }

func (b *busy) WriteToAddress(p []byte, a memberlist.Address) (time.Time, error) {
	b.await()
	return b.NodeAwareTransport.WriteToAddress(p, a)
}

func (b *busy) DialAddressTimeout(a memberlist.Address, timeout time.Duration) (net.Conn, error) {
	b.await()
	return b.NodeAwareTransport.DialAddressTimeout(a, timeout)
}

// await blocks while the member does not run.
func (b *busy) await() {
	b.mu.Lock()
	back := b.back
	b.mu.Unlock()
	<-back
}

func (b *busy) run(ctx context.Context, runs, waits time.Duration) {
	for ctx.Err() == nil {
		turn := time.After(rand.N(runs) + 1)
		for on := true; on; {
			select {
			case <-ctx.Done():
				return
			case <-turn:
				on = false
			case p := <-b.NodeAwareTransport.PacketCh():
				p.Timestamp = time.Now()
				select {
				case b.packets <- p:
				case <-ctx.Done():
				}
			case c := <-b.NodeAwareTransport.StreamCh():
				select {
				case b.streams <- c:
				case <-ctx.Done():
				}
			}
		}
		back := make(chan struct{})
		b.mu.Lock()
		b.back = back
		b.mu.Unlock()
		select {
		case <-ctx.Done():
		case <-time.After(rand.N(waits) + 1):
		}
		close(back)
	}
}
