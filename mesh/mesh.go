package mesh

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"grapevine/fleet"
	"grapevine/mesh/exchange"
	"grapevine/mesh/replica"
)

// Mesh is one member of the mesh. New makes it, Run lives it; all other
// methods may be called at any time between, by anyone.
type Mesh struct {
	cfg     Config
	members membership
	replica *replica.Replica
	started time.Time // when Run began

	// mu guards all below and every call into exchange and origin. It is held
	// for computing only, never while waiting.
	mu       sync.Mutex
	exchange *exchange.Exchange
	origin   *replica.Origin   // nil at a registry
	links    map[*link]bool    // those that are past their hello
	closed   bool              // Run is over: no further link
	whole    bool              // see evaluate
	inbound  int               // accepted links, those before their hello included
	greeting map[net.Conn]bool // accepted streams before their hello
	accepts  sync.WaitGroup    // calls of Accept
	settled  bool
	unsaid   []replica.OwnRow // rows published before the epoch was settled
	waiting  bool             // unsaid holds a publication
	budget   budget
	dials    dials

	publishing sync.Mutex    // orders calls of Publish
	timer      chan struct{} // wakes the clockwork
	selfHeard  chan struct{} // wakes the keeper of the epoch
	linksMoved chan struct{} // wakes the keeper of links
	traffic    traffic
}

// New binds the gossip sockets and returns the member. Nothing is sent before
// Run. A port in use is an error that says what to do.
func New(cfg Config) (*Mesh, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	members, err := newSerfMembers(cfg)
	if err != nil {
		return nil, err
	}
	m, err := newMesh(cfg, members)
	if err != nil {
		members.Close()
		return nil, err
	}
	return m, nil
}

// newMesh returns a member whose membership is given.
func newMesh(cfg Config, members membership) (*Mesh, error) {
	owner := fleet.HostID{}
	if cfg.Role == fleet.RoleAgent {
		owner = cfg.ID
	}
	r := replica.New()
	m := &Mesh{
		cfg: cfg, members: members, replica: r, exchange: exchange.New(owner, r),
		links: map[*link]bool{}, greeting: map[net.Conn]bool{}, settled: cfg.Role == fleet.RoleRegistry,
		timer: make(chan struct{}, 1), selfHeard: make(chan struct{}, 1), linksMoved: make(chan struct{}, 1),
	}
	if cfg.Role == fleet.RoleAgent {
		m.origin = replica.NewOrigin(cfg.ID)
	}
	m.dials.init()
	m.budget = newBudget()
	m.exchange.Rejected = m.logRejected
	return m, m.register(cfg.Metrics)
}

// Run joins the mesh and takes part in it until ctx ends; it then says good
// bye, within a few seconds, and returns nil. It returns an error that wraps
// ErrCloned when another machine speaks for this host. Run is called once, and
// closes what New opened.
func (m *Mesh) Run(ctx context.Context) error {
	defer m.members.Close()
	m.mu.Lock()
	m.started = time.Now()
	m.mu.Unlock()
	if err := m.members.Start(); err != nil {
		return err
	}
	g, runCtx := errgroup.WithContext(ctx)
	g.Go(func() error { return m.keepTime(runCtx) })
	g.Go(func() error { return m.keepLinks(runCtx) })
	g.Go(func() error { return m.heal(runCtx) })
	g.Go(func() error { return m.members.Run(runCtx) })
	if m.origin != nil {
		g.Go(func() error { return m.keepEpoch(runCtx) })
	}
	err := g.Wait() // links that were dialled are among them
	m.closeLinks()
	m.accepts.Wait()
	if ctx.Err() != nil {
		m.members.Leave()
		return nil
	}
	return err
}

// Close releases the sockets of a member that was never run.
func (m *Mesh) Close() error {
	m.members.Close()
	return nil
}

// Replica returns what this node holds of the fleet. Its methods marked
// "writer" are not for callers.
func (m *Mesh) Replica() *replica.Replica { return m.replica }

// Members returns all members that Serf knows, the failed and the left ones
// included, ordered by id.
func (m *Mesh) Members() []fleet.Member {
	members := m.members.Members()
	for i := range members {
		if b := m.replica.Block(members[i].ID); b != nil && b.HostName() != "" {
			members[i].Name = b.HostName()
		}
	}
	slices.SortFunc(members, func(a, b fleet.Member) int { return a.ID.Compare(b.ID) })
	return members
}

// MembersChanged returns a channel that is closed at the next change of any
// member. Take it, then look, then wait.
func (m *Mesh) MembersChanged() <-chan struct{} { return m.members.Changed() }

// GossipAddr returns the host:port on which this member listens for gossip.
func (m *Mesh) GossipAddr() string { return m.members.Addr() }

// Wanted returns the newest version of a host that was announced to this node,
// where that is newer than the one held; zero otherwise.
func (m *Mesh) Wanted(id fleet.HostID) fleet.Version {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.exchange.Wanted(id)
}

// Settled reports whether this agent's epoch is settled, so that Publish
// publishes. A registry is always settled.
func (m *Mesh) Settled() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.settled
}

func (m *Mesh) logRejected(p *exchange.Peer, host fleet.HostID, err error) {
	m.cfg.Log.Warn("block refused", "host", host, "peer", p.ID, "error", err)
}

// notify wakes the reader of a channel of capacity one.
func notify(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// jitter returns d, more or less by a quarter, so that nodes started together
// do not act together.
func jitter(d time.Duration) time.Duration {
	return d*3/4 + time.Duration(rand.Int64N(int64(d)/2+1)) // no secret
}

var errLeaving = errors.New("the mesh is not running")

func cloned(id fleet.HostID, theirs, ours string) error {
	return fmt.Errorf("host %s: %w: its block carries hardware fingerprint %q, this machine has %q; "+
		"if this machine was copied from another, remove its agent's data directory so that it gets an id of its own", id, ErrCloned, theirs, ours)
}
