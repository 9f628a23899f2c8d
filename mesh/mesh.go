package mesh

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"grapevine/fleet"
	"grapevine/internal/pause"
	"grapevine/mesh/node"
	"grapevine/mesh/replica"
)

// Mesh is one member of the mesh. New makes it, Run lives it; all other
// methods may be called at any time between, by anyone.
type Mesh struct {
	cfg     Config
	members Membership
	replica *replica.Replica

	// mu guards node, and is held for computing only, never while waiting.
	mu      sync.Mutex
	node    *node.Node
	running context.Context // of Run; nil before it, and after it
	alarm   *time.Timer     // rings when the node has something to do
	alarmAt time.Time
	work    sync.WaitGroup // streams, dials and whatever else the node asked for

	publishing sync.Mutex // orders calls of Publish
	failed     chan error // why the node cannot go on
	joining    chan struct{}
	traffic    traffic
}

// New binds the gossip sockets and returns the member. Nothing is sent before
// Run. A port in use is an error that says what to do.
func New(cfg Config) (*Mesh, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	members, err := newMembers(cfg)
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

// newMembers makes what says who is there.
func newMembers(cfg Config) (Membership, error) {
	if cfg.Membership != nil {
		return cfg.Membership(cfg), nil
	}
	return newSerfMembers(cfg)
}

// newMesh returns a member whose membership is given.
func newMesh(cfg Config, members Membership) (*Mesh, error) {
	r := replica.New()
	if cfg.Verifier != nil {
		r.VerifyWith(cfg.Verifier)
	}
	loadSaved(&cfg, r)
	return newMeshHolding(cfg, members, r)
}

// newMeshHolding returns a member that holds r from the start.
func newMeshHolding(cfg Config, members Membership, r *replica.Replica) (*Mesh, error) {
	epoch := uint64(0)
	if cfg.Epochs != nil {
		var err error
		if epoch, _, err = cfg.Epochs.LoadEpoch(); err != nil {
			return nil, fmt.Errorf("load epoch: %w", err)
		}
	}
	m := &Mesh{
		cfg: cfg, members: members, replica: r, failed: make(chan error, 1), joining: make(chan struct{}, 1),
	}
	m.node = node.New(node.Config{
		ID: cfg.ID, Name: cfg.Name, Role: cfg.Role, Label: cfg.Label, Gossip: members.Advertised(),
		Hardware: cfg.Hardware, Replaces: cfg.Replaces, Links: cfg.Links, MaxInbound: cfg.MaxInbound, Joins: len(cfg.Join) > 0, Epoch: epoch, Seal: cfg.Seal,
		Rand: rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())), Log: cfg.Log, // no secret
	}, m.replica, (*effects)(m))
	return m, m.register(cfg.Metrics)
}

// Run joins the mesh and takes part in it until ctx ends; it then says good
// bye, within a few seconds, and returns nil. It returns an error that wraps
// ErrCloned when another machine speaks for this host. Run is called once, and
// closes what New opened.
func (m *Mesh) Run(ctx context.Context) error {
	defer m.members.Close()
	if err := m.members.Start(); err != nil {
		return err
	}
	running, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	changed := m.members.Changed()
	m.start(running)
	m.work.Go(func() { m.watchMembers(running, changed) })
	if m.cfg.SavedFleet != "" {
		m.work.Go(func() { m.keepSaved(running) })
	}
	m.work.Go(func() {
		if err := m.members.Run(running); err != nil {
			stop(err)
		}
	})
	select {
	case <-running.Done():
	case err := <-m.failed:
		stop(err)
	}
	m.end()
	m.work.Wait()
	if ctx.Err() != nil {
		m.members.Leave()
		return nil
	}
	return context.Cause(running)
}

func (m *Mesh) start(running context.Context) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.running = running
	now := time.Now()
	m.alarm = time.AfterFunc(time.Hour, m.ring)
	m.alarmAt = now.Add(time.Hour)
	m.node.Members(m.sortedMembers(), now)
	m.node.Start(now)
	m.settle(now)
}

func (m *Mesh) end() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.node.Close()
	m.running = nil
	m.alarm.Stop()
}

// Close releases the sockets of a member that was never run.
func (m *Mesh) Close() error {
	m.members.Close()
	return nil
}

// do calls into the node, and then does what has become due by it.
func (m *Mesh) do(f func(now time.Time)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	f(now)
	m.settle(now)
}

// settle lets the node do what is due, and sets the alarm to what is next. The
// caller holds mu.
func (m *Mesh) settle(now time.Time) {
	if m.running == nil {
		return
	}
	next := m.node.Due()
	for !next.After(now) {
		m.node.Tick(now)
		next = m.node.Due()
	}
	if !next.Equal(m.alarmAt) {
		m.alarmAt = next
		m.alarm.Reset(next.Sub(now))
	}
}

// ring is called by the alarm.
func (m *Mesh) ring() {
	m.do(func(time.Time) { m.alarmAt = time.Time{} })
}

// gatherMembers is for how long changes of members are collected: a fleet that
// starts would otherwise have each node look at all members once for each.
const gatherMembers = 50 * time.Millisecond

// watchMembers tells the node who is there, whenever that has changed.
func (m *Mesh) watchMembers(ctx context.Context, changed <-chan struct{}) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-changed:
		}
		if !pause.For(ctx, gatherMembers) {
			return
		}
		changed = m.members.Changed()
		list := m.sortedMembers()
		m.do(func(now time.Time) { m.node.Members(list, now) })
	}
}

func (m *Mesh) sortedMembers() []fleet.Member {
	list := m.members.Members()
	for i := range list {
		if list[i].Status == fleet.MemberAlive && m.cfg.bars(list[i].ID) {
			list[i].Status = fleet.MemberFailed
		}
	}
	slices.SortFunc(list, func(a, b fleet.Member) int { return a.ID.Compare(b.ID) })
	return list
}

// Replica returns what this node holds of the fleet. Its methods marked
// "writer" are not for callers.
func (m *Mesh) Replica() *replica.Replica { return m.replica }

// Members returns all members that Serf knows, the failed and the left ones
// included, ordered by id.
func (m *Mesh) Members() []fleet.Member {
	members := m.sortedMembers()
	for i := range members {
		if b := m.replica.Block(members[i].ID); b != nil && b.HostName() != "" {
			members[i].Name = b.HostName()
		}
	}
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
	return m.node.Wanted(id)
}

// Settled reports whether this agent's epoch is settled, so that Publish
// publishes. A registry is always settled.
func (m *Mesh) Settled() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.node.Settled()
}

// Ready returns nil when this node may answer for the fleet, and otherwise an
// error that says what it waits for. An agent is ready when its epoch is
// settled, a registry when it holds the whole fleet.
func (m *Mesh) Ready() error {
	if m.cfg.Role != fleet.RoleAgent {
		return m.Whole()
	}
	if !m.Settled() {
		return errors.New("waiting for peers to say what they last heard of this host")
	}
	return nil
}

// Whole returns nil once this node holds the whole fleet, as far as it can
// know, and otherwise an error that says what it waits for. It is what a
// registry's Ready asks; an agent that has just started may be settled, and
// still lack most of the fleet.
func (m *Mesh) Whole() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.node.Whole(time.Now())
}

// LinkList returns the links that are up, ordered by peer.
func (m *Mesh) LinkList() []fleet.Link {
	m.mu.Lock()
	defer m.mu.Unlock()
	list := []fleet.Link{}
	for _, status := range m.node.Links(time.Now()) {
		s := status.Of.Stream.(*stream)
		status.SentBytes, status.ReceivedBytes = s.sent.Load(), s.received.Load()
		list = append(list, status.Link)
	}
	return list
}

var errLeaving = errors.New("the mesh is not running")

// jitter returns d, more or less by a quarter, so that nodes started together
// do not act together.
func jitter(d time.Duration) time.Duration {
	return d*3/4 + time.Duration(rand.Int64N(int64(d)/2+1)) // no secret
}
