package node

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"time"

	"golang.org/x/time/rate"

	"grapevine/fleet"
	"grapevine/mesh/exchange"
	"grapevine/mesh/replica"
	"grapevine/mesh/wire"
)

// The versions of the link protocol that this build speaks. A link uses the
// highest that both ends speak.
const (
	Protocol    = 2
	MinProtocol = 2 // the blocks of version 1 are not signed
)

// ErrCloned is told to World.Fail when another machine speaks for the same
// host: two machines run on copies of one agent's disk.
var ErrCloned = errors.New("another machine speaks for this host")

// Config says who a node is. All fields but Joins, Epoch, Hardware and Replaces
// are required.
type Config struct {
	ID     fleet.UUID // the host's id of an agent, any of a registry
	Name   string
	Role   fleet.Role
	Label  string // of the fleet
	Gossip string // host:port of this node's gossip, told in hellos
	// Hardware fingerprints the machine, to tell a clone from a restart.
	Hardware string
	// Replaces is the fingerprint of the machine that this host was before, by an
	// operator's word; empty for none.
	Replaces string
	// Links is how many links to keep open to other agents, MaxInbound how many
	// to accept. A registry accepts none.
	Links, MaxInbound int
	// Joins says that there are members to join through: to be alone is then
	// not to be the whole fleet.
	Joins bool
	// Epoch is the last one stored.
	Epoch uint64
	// Seal returns by what the own blocks are proven: the credential that stands
	// in them, and what signs their heads by it. Both may be others the next time.
	// Nil, as in simulations of nodes without identities, leaves them unsigned.
	Seal func() (credential []byte, sign func(message []byte) []byte)
	Rand *rand.Rand
	Log  *slog.Logger
}

// World is what a node asks for. Its methods are called from within the
// node's, must not call back, and must not block.
type World interface {
	// Dial opens a stream to an agent and calls Dialled.
	Dial(*Dial)
	// Wake says that Collect may have something for a link.
	Wake(*Link)
	// StoreEpoch makes an epoch durable and then calls EpochStored.
	StoreEpoch(epoch, incarnation uint64)
	// Join tries once to join gossip through an address.
	Join(gossip string)
	// Fail ends the node for good.
	Fail(error)
}

// Node is one member of the mesh.
type Node struct {
	cfg      Config
	world    World
	replica  *replica.Replica
	exchange *exchange.Exchange
	started  time.Time
	closed   bool // no further link
	whole    bool // see isWhole

	members membership
	links   []*Link // past their hello, in the order in which they came up
	greeted []*Link // not yet
	dials   dials
	epoch   epoch
	own     own
	hints   hints
	refusal refusals

	root   uint64 // at the last pulse
	atRest bool   // it was the same at the pulse before

	pulseAt  time.Time // when all links are given a pulse
	checkAt  time.Time // when a link may have been silent for too long
	expireAt time.Time // when a want may have been unanswered for too long
	beatAt   time.Time
}

// New returns a node that is the writer of r.
func New(cfg Config, r *replica.Replica, world World) *Node {
	n := &Node{
		cfg: cfg, world: world, replica: r,
		exchange: exchange.New(cfg.ID, cfg.Role == fleet.RoleAgent, r, time.Duration(cfg.Rand.Int64N(int64(20*time.Millisecond)))),
		dials:    dials{busy: map[fleet.UUID]bool{}, later: map[fleet.UUID]redial{}},
		epoch:    epoch{journal: cfg.Epoch, settled: cfg.Role == fleet.RoleRegistry},
		own:      own{budget: newBudget()},
		hints:    hints{},
		refusal:  refusals{budget: rate.NewLimiter(rate.Every(refusalEvery), refusalBurst)},
	}
	if cfg.Role == fleet.RoleAgent {
		n.own.origin = replica.NewOrigin(cfg.ID)
	}
	n.exchange.Rejected = n.refused
	return n
}

// Start begins to take part. Nothing else is called before, but Publish.
func (n *Node) Start(now time.Time) {
	n.started = now
	n.pulseAt = now.Add(n.random(pulseEvery))
	n.beatAt = now.Add(n.jitter(beatEvery))
	n.dials.redrawAt = now.Add(n.jitter(redrawEvery))
	n.dials.fillAt = now
	if n.cfg.Role == fleet.RoleAgent {
		n.epoch.askUntil = now.Add(askPeersFor)
	}
	n.settleEpoch(now)
}

// Due returns when Tick is to be called next. It may have changed after every
// call of another method.
func (n *Node) Due() time.Time {
	due := n.pulseAt
	for _, at := range [...]time.Time{
		n.exchange.FlushDue(), n.checkAt, n.expireAt, n.beatAt, n.own.announceAt,
		n.dials.fillAt, n.dials.redrawAt, n.dials.healAt, n.dials.denyAt, n.epoch.askUntil,
	} {
		if !at.IsZero() && at.Before(due) {
			due = at
		}
	}
	return due
}

// due reports whether a moment has come, zero being none.
func due(at, now time.Time) bool { return !at.IsZero() && !now.Before(at) }

// Tick does what is due.
func (n *Node) Tick(now time.Time) {
	if due(n.exchange.FlushDue(), now) {
		n.exchange.Flush(now)
	}
	if due(n.pulseAt, now) {
		n.pulse(now)
	}
	if due(n.checkAt, now) {
		n.checkLinks(now)
	}
	if due(n.expireAt, now) {
		n.expireAt = n.exchange.Expire(now)
	}
	if due(n.own.announceAt, now) {
		n.announce(now)
	}
	if due(n.beatAt, now) {
		n.beatAt = now.Add(beatEvery)
		n.exchange.Beat(now)
	}
	if due(n.epoch.askUntil, now) {
		n.settleEpoch(now)
	}
	n.tickDials(now)
}

// Replica returns what the node holds.
func (n *Node) Replica() *replica.Replica { return n.replica }

// Stats returns the counters of the links.
func (n *Node) Stats() exchange.Stats { return n.exchange.Stats() }

// Wanted returns the newest version of a host that was announced, where that
// is newer than the one held; zero otherwise.
func (n *Node) Wanted(id fleet.HostID) fleet.Version { return n.exchange.Wanted(id) }

// Close ends all links and lets no further one come.
func (n *Node) Close() {
	n.closed = true
	for _, l := range slices.Concat(n.links, n.greeted) {
		n.end(l, wire.ByeLeaving, "shutting down")
	}
}

func (n *Node) random(d time.Duration) time.Duration {
	return time.Duration(n.cfg.Rand.Int64N(int64(d)))
}

// jitter returns d, more or less by a quarter, so that nodes started together
// do not act together.
func (n *Node) jitter(d time.Duration) time.Duration { return d*3/4 + n.random(d/2+1) }

func (n *Node) cloned(theirs string) error {
	return fmt.Errorf("host %s: %w: its block carries hardware fingerprint %q, this machine has %q; "+
		"if this machine was copied from another, give it a certificate and a data_dir of its own; "+
		"if it is that host with a new board, say so with replaces_hardware = %[3]q",
		n.cfg.ID, ErrCloned, theirs, n.cfg.Hardware)
}

// Load counts what the node's links keep.
func (n *Node) Load() exchange.Load { return n.exchange.Load() }
