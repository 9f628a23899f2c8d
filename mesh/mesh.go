package mesh

import (
	"context"
	"errors"
	"net"
	"sync"

	"grapevine/fleet"
	"grapevine/mesh/replica"
)

// Mesh is one member of the mesh. New makes it, Run lives it; all other
// methods may be called at any time between, by anyone.
type Mesh struct {
	cfg Config

	replica *replica.Replica

	mu      sync.Mutex
	pending *State
}

// New binds the gossip sockets and returns the member. Nothing is sent before
// Run. A port in use is an error that says what to do.
func New(cfg Config) (*Mesh, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	return &Mesh{cfg: cfg, replica: replica.New()}, nil
}

// Run joins the mesh and takes part in it until ctx ends; it then says good
// bye, within a few seconds, and returns nil. It returns an error that wraps
// ErrCloned when another machine speaks for this host. Run is called once, and
// closes what New opened.
func (m *Mesh) Run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

// Close releases the sockets of a member that was never run.
func (m *Mesh) Close() error { return nil }

// Accept takes over a stream that peer, as its certificate says, opened to
// this agent, and blocks until the link ends; it closes conn. It returns at
// once when the link is refused.
func (m *Mesh) Accept(_ context.Context, conn net.Conn, _ fleet.UUID) { _ = conn.Close() }

// Publish states all that there is to say about this agent's host. What did
// not change since the last time is not sent again. It returns the version
// under which the state is visible, at once here and soon everywhere, and the
// zero version while the epoch is not settled: the newest state is then
// published as soon as it is. It never waits for network or disk.
func (m *Mesh) Publish(s State) fleet.Version {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pending = &s
	return fleet.Version{}
}

// Replica returns what this node holds of the fleet. Its methods marked
// "writer" are not for callers.
func (m *Mesh) Replica() *replica.Replica { return m.replica }

// Members returns all members that Serf knows, the failed and the left ones
// included, ordered by id.
func (m *Mesh) Members() []fleet.Member { return nil }

// MembersChanged returns a channel that is closed at the next change of any
// member. Take it, then look, then wait.
func (m *Mesh) MembersChanged() <-chan struct{} { return nil }

// LinkList returns the links that are up, ordered by peer.
func (m *Mesh) LinkList() []fleet.Link { return nil }

// Wanted returns the newest version of a host that was announced to this node,
// where that is newer than the one held; zero otherwise.
func (m *Mesh) Wanted(fleet.HostID) fleet.Version { return fleet.Version{} }

// Settled reports whether this agent's epoch is settled, so that Publish
// publishes. A registry is always settled.
func (m *Mesh) Settled() bool { return false }

// Ready returns nil when this node may answer for the fleet, and otherwise an
// error that says what it waits for. An agent is ready when its epoch is
// settled. A registry is ready when it has merged the digest of a peer that is
// itself ready, or, at a fleet's first start, holds a block or a stated
// absence of every agent that Serf lists (it waits for these at most 10 s).
func (m *Mesh) Ready() error { return errors.New("the mesh is not running") }

// GossipAddr returns the host:port on which this member listens for gossip.
func (m *Mesh) GossipAddr() string { return m.cfg.GossipBind }
