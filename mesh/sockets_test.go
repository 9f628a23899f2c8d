package mesh

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"

	"grapevine/fleet"
	"grapevine/identity"
	"grapevine/internal/rawtcp"
	"grapevine/mesh/meshtest"
	"grapevine/mesh/replica"
)

// socketFleet is a fleet of agents in this process as they ship: Serf and
// links with TLS, on loopback. Only what they have to say is made up.
type socketFleet struct {
	nodes   []*socketNode
	index   map[fleet.UUID]int
	run     atomic.Pointer[socketRun]
	sent    atomic.Int64    // bytes over links, before TLS
	ctx     context.Context // the fleet's life
	cancel  context.CancelFunc
	running sync.WaitGroup
}

// socketNode is one agent.
type socketNode struct {
	*Mesh
	number   int
	identity *identity.Identity
	listener net.Listener
}

// errElsewhere is why hosts that are only made up are not dialled.
var errElsewhere = errors.New("not an address of this process")

// startSockets starts a fleet and waits until all of it holds all of it. One
// node after the other joins, each through another one, and at a pace that
// leaves the machine time to answer pings: Serf has everybody pass every
// newcomer on some twenty times, and where that fills the machine members are
// taken for lost, which is as much news again.
func startSockets(b *testing.B, nodes int) *socketFleet {
	b.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	w := &socketFleet{index: map[fleet.UUID]int{}, ctx: ctx, cancel: cancel}
	ca, err := identity.NewCA("spread", time.Now())
	if err != nil {
		b.Fatal(err)
	}
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // until they are together
	key, began, spent := identity.NewGossipKey(), time.Now(), processorTime()
	for len(w.nodes) < nodes {
		x, err := w.start(ca, key, len(w.nodes), replica.New())
		if err != nil {
			b.Fatal(err)
		}
		w.nodes = append(w.nodes, x)
		w.index[x.identity.Subject().ID] = x.number
		x.Publish(x.state(make([]byte, spreadBytes)))
		w.pause(b, began.Add(joinWithin))
	}
	joined := time.Since(began)
	w.await(b, 2*time.Minute, "all hold all", w.whole)
	w.await(b, 2*time.Minute, "gossip comes to rest", w.quiet())
	b.Logf("all have joined after %v, and are at rest after %v and %v of processor", joined.Round(time.Second), time.Since(began).Round(time.Second), (processorTime() - spent).Round(time.Second))
	for _, x := range w.nodes {
		w.running.Go(func() { w.watch(x) })
	}
	return w
}

// joinWithin bounds the time in which all nodes join.
const joinWithin = 4 * time.Minute

// pause waits until the node that joined last holds half of the fleet and the
// process takes little processor, for two seconds at most.
func (w *socketFleet) pause(b *testing.B, deadline time.Time) {
	b.Helper()
	const look = 50 * time.Millisecond
	enough := (0.3 + float64(len(w.nodes))/300) * look.Seconds() // the pulses of so many
	last := w.nodes[len(w.nodes)-1]
	for end := time.Now().Add(2 * time.Second); time.Now().Before(end); {
		spent := processorTime()
		time.Sleep(look)
		if (processorTime()-spent).Seconds() <= enough && 2*last.Replica().Len() >= len(w.nodes) {
			break
		}
	}
	if time.Now().After(deadline) {
		w.giveUp(b, "all have joined", joinWithin)
	}
}

// await waits for a condition; what it waits for in vain ends the benchmark.
func (w *socketFleet) await(b *testing.B, within time.Duration, what string, ok func() bool) {
	b.Helper()
	for end := time.Now().Add(within); !ok(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			w.giveUp(b, what, within)
		}
	}
}

// giveUp ends the benchmark, and says how far the fleet got. It does not wait
// for a fleet that has no time to end.
func (w *socketFleet) giveUp(b *testing.B, what string, within time.Duration) {
	b.Helper()
	w.cancel()
	held := map[int]int{}
	for _, x := range w.nodes {
		held[x.Replica().Len()]++
	}
	b.Fatalf("%d agents were started, and within %v it did not come about that %s: the machine has too much else to do, or the agents are too many for it: nodes by hosts held: %v", len(w.nodes), within, what, held)
}

// quiet returns a condition that holds when the process uses no more processor
// than a second before, or nearly so: the last joins are through.
func (w *socketFleet) quiet() func() bool {
	at, spent, last := time.Now(), processorTime(), 0.0
	return func() bool {
		took := time.Since(at)
		if took < 2*time.Second {
			return false
		}
		now := (processorTime() - spent).Seconds() / took.Seconds()
		at, spent = time.Now(), processorTime()
		defer func() { last = now }()
		return last > 0 && now > 0.9*last
	}
}

// start starts a node that holds r already.
func (w *socketFleet) start(ca *identity.CA, key []byte, number int, r *replica.Replica) (*socketNode, error) {
	id := fleet.NewUUIDv5(fleet.UUID{3}, fmt.Sprint(number))
	pair, err := ca.Issue(identity.Subject{Role: identity.Agent, ID: id, Name: fmt.Sprintf("host-%d", number)}, time.Hour, time.Now())
	if err != nil {
		return nil, err
	}
	x := &socketNode{number: number}
	if x.identity, err = identity.New(ca.CertPEM(), pair, time.Now()); err != nil {
		return nil, err
	}
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	x.listener = tls.NewListener(rawtcp.Listener{Listener: plain}, x.identity.ServerTLS(ALPN))
	cfg := Config{
		ID: id, Name: fmt.Sprintf("host-%d", number), Role: fleet.RoleAgent, API: x.listener.Addr().String(),
		GossipBind: "127.0.0.1:0", Key: key, Epochs: &meshtest.Epochs{}, Hardware: fmt.Sprint("machine ", number),
		Dial: func(ctx context.Context, addr string, peer fleet.UUID) (net.Conn, error) {
			if !strings.HasPrefix(addr, "127.0.0.1:") {
				return nil, errElsewhere
			}
			conn, err := x.identity.Dial(ctx, &net.Dialer{}, addr, peer, ALPN)
			if err != nil {
				return nil, err
			}
			return w.counted(conn), nil
		},
	}
	if number > 0 {
		cfg.Join = []string{w.nodes[number/2].GossipAddr()}
	}
	if x.Mesh, err = newHolding(cfg, r); err != nil {
		return nil, err
	}
	w.running.Go(func() { _ = x.Run(w.ctx) })
	w.running.Go(func() { w.serve(x) })
	return x, nil
}

// newHolding is New for a node that holds r already.
func newHolding(cfg Config, r *replica.Replica) (*Mesh, error) {
	cfg = cfg.withDefaults()
	members, err := newSerfMembers(cfg)
	if err != nil {
		return nil, err
	}
	members.settle = patient
	return newMeshHolding(cfg, members, r)
}

// patient are the settings of Serf where hundreds of agents share a few
// processors: pings that are ten times slower, and half as much gossip about
// each newcomer. As shipped, members that wait for a processor are suspected,
// they refute it, and everybody passes both on, for ever. All else is as shipped.
func patient(ml *memberlist.Config) {
	ml.ProbeInterval, ml.ProbeTimeout = 5*time.Second, 2*time.Second
	ml.GossipInterval, ml.RetransmitMult = 500*time.Millisecond, 3
}

// serve takes in the links to a node until its listener closes.
func (w *socketFleet) serve(x *socketNode) {
	for {
		conn, err := x.listener.Accept()
		if err != nil {
			return
		}
		w.running.Go(func() {
			secure := conn.(*tls.Conn)
			if err := secure.HandshakeContext(w.ctx); err != nil {
				_ = conn.Close()
				return
			}
			peer, err := identity.PeerOf(secure.ConnectionState())
			if err != nil {
				_ = conn.Close()
				return
			}
			x.Accept(w.ctx, w.counted(conn), peer.ID)
		})
	}
}

// whole reports whether all hold the same hosts: all of them.
func (w *socketFleet) whole() bool {
	root := w.nodes[0].Replica().Root()
	return !slices.ContainsFunc(w.nodes, func(x *socketNode) bool {
		return !x.Settled() || x.Replica().Len() != len(w.nodes) || x.Replica().Root() != root
	})
}

func (w *socketFleet) stop(b *testing.B) {
	b.Helper()
	w.cancel()
	for _, x := range w.nodes {
		if err := x.listener.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			b.Error(err)
		}
	}
	w.running.Wait()
}

// state is a host with one instance, whose row carries a payload: some 200
// bytes as it travels.
func (x *socketNode) state(payload []byte) State {
	id := x.identity.Subject().ID
	return State{
		Host: fleet.Host{ID: id, Name: fmt.Sprintf("host-%d", x.number), Hypervisor: fleet.KVM, State: fleet.HostOK, Hardware: fmt.Sprint("machine ", x.number)},
		Instances: []fleet.Instance{{
			ID: fleet.NewUUIDv5(id, "0"), Name: "vm", Power: fleet.PowerRunning,
			Fault: base64.RawStdEncoding.EncodeToString(payload[:120]),
		}},
	}
}

// watch tells the run of what arrives at a node.
func (w *socketFleet) watch(x *socketNode) {
	r := x.Replica()
	_, last := r.ChangedSince(0)
	for {
		changed := r.Changed()
		var hosts []fleet.HostID
		hosts, last = r.ChangedSince(last)
		if run := w.run.Load(); run != nil {
			for _, host := range hosts {
				run.arrived(x.number, w.index[host], r.Version(host).Seq)
			}
		}
		select {
		case <-changed:
		case <-w.ctx.Done():
			return
		}
	}
}

// counted counts what a link writes, before TLS.
func (w *socketFleet) counted(conn net.Conn) net.Conn { return &countedLink{conn, w} }

type countedLink struct {
	net.Conn
	fleet *socketFleet
}

func (c *countedLink) Write(b []byte) (int, error) {
	c.fleet.sent.Add(int64(len(b)))
	return c.Conn.Write(b)
}

// socketRun is a load on a fleet.
type socketRun struct {
	fleet   *socketFleet
	start   time.Time
	updates []spreadUpdate
	figures *spreadFigures
	said    []saidVersions // by node
}

// saidVersions are the versions under which a node published its updates.
type saidVersions struct {
	mu   sync.Mutex
	seqs []uint64
}

func (w *socketFleet) begin(p spreadPlan) *socketRun {
	r := &socketRun{fleet: w, updates: p.updates(), said: make([]saidVersions, p.nodes)}
	for i := range r.updates { // by turns, so that no host's budget is short
		r.updates[i].node, r.updates[i].nth = i%p.nodes, i/p.nodes+1
	}
	r.figures = newSpreadFigures(p, r.updates)
	r.start = time.Now()
	w.run.Store(r)
	return r
}

// until publishes the updates that are due before a moment of the run, and
// returns then, or as soon after it as it could publish them.
func (r *socketRun) until(moment time.Duration) {
	for len(r.updates) > 0 && r.updates[0].at < moment {
		time.Sleep(r.updates[0].at - time.Since(r.start))
		r.publish(r.updates[0])
		r.updates = r.updates[1:]
	}
	time.Sleep(moment - time.Since(r.start))
}

func (r *socketRun) publish(u spreadUpdate) {
	said, x := &r.said[u.node], r.fleet.nodes[u.node]
	said.mu.Lock()
	defer said.mu.Unlock()
	r.figures.published(time.Since(r.start), u.id)
	said.seqs = append(said.seqs, x.Publish(x.state(u.payload)).Seq)
}

// arrived says that a node holds a version of a host.
func (r *socketRun) arrived(node, host int, seq uint64) {
	said := &r.said[host]
	said.mu.Lock()
	defer said.mu.Unlock()
	n, exact := slices.BinarySearch(said.seqs, seq)
	if exact {
		n++
	}
	r.figures.deliveredUpTo(time.Since(r.start), node, host, n)
}

// done waits for the last updates and reports whether they are everywhere.
func (r *socketRun) done(within time.Duration) bool {
	for end := time.Now().Add(within); !r.figures.complete(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			return false
		}
	}
	return true
}
