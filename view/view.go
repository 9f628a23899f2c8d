package view

import (
	"context"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"grapevine/api/client"
	"grapevine/fleet"
	"grapevine/mesh/replica"
	"grapevine/placement"
)

// Source is what this node's member of the mesh knows; *mesh.Mesh is one.
type Source interface {
	Replica() *replica.Replica
	// Members returns all members, ordered by id.
	Members() []fleet.Member
	// MembersChanged returns a channel that is closed at the next change of any
	// member.
	MembersChanged() <-chan struct{}
	LinkList() []fleet.Link
	// Wanted returns the newest version announced of a host, where that is
	// newer than the one held.
	Wanted(fleet.HostID) fleet.Version
	Gossip
}

// Gossip is what a member of the mesh can ask of the others through Serf. Its
// errors are *fleet.Error where people can do something about them.
type Gossip interface {
	// RTT estimates the round trip between two members; it does not block.
	RTT(a, b fleet.UUID) (fleet.RoundTrip, error)
	// Ping measures the round trip to a member, and blocks for a few seconds at
	// most.
	Ping(ctx context.Context, id fleet.UUID) (fleet.RoundTrip, error)
	// Keys changes the gossip keys of all members, or lists them where change is
	// zero; it blocks until they have answered.
	Keys(ctx context.Context, change fleet.GossipKeyChange) (fleet.GossipKeyReport, error)
}

// Local is what an agent keeps of its own host beside the replica. Its methods
// return *fleet.Error for what is not there.
type Local interface {
	Operation(ctx context.Context, id string) (fleet.Operation, error)
	InstanceLog(ctx context.Context, id fleet.InstanceID, part fleet.LogRange) (io.ReadCloser, error)
	Snapshots(ctx context.Context, id fleet.InstanceID) (fleet.SnapshotList, error)
	Devices(ctx context.Context, id fleet.InstanceID) (fleet.DeviceList, error)
	Usage(ctx context.Context, id fleet.InstanceID) (fleet.InstanceUsage, error)
	Export(ctx context.Context, id fleet.InstanceID) (fleet.PreparedExport, error)
	ReadExport(ctx context.Context, id fleet.InstanceID, part fleet.ExportRange) (io.ReadCloser, error)
	// Hardware is asked of the host itself alone.
	Hardware(ctx context.Context, id fleet.HostID) (fleet.Hardware, error)
	// PlanDrain is of the host itself alone, too.
	PlanDrain(ctx context.Context, id fleet.HostID, req fleet.DrainRequest) (fleet.Drain, error)
	// VerifyHost compares hypervisor, storage and journal, and changes nothing.
	VerifyHost(ctx context.Context, id fleet.HostID) (fleet.Verification, error)
	Audit(ctx context.Context, id fleet.HostID, q fleet.AuditQuery) (fleet.AuditPage, error)
	// OwnHost and OwnInstance look at the hypervisor first. What is not of this
	// host is CodeMisdirected.
	OwnHost(ctx context.Context, id fleet.HostID) (fleet.Host, error)
	OwnInstance(ctx context.Context, id fleet.InstanceID) (fleet.Instance, error)
}

// Config is what a view reads from. Source, Flavors and Peers are required.
type Config struct {
	Source  Source
	Flavors []fleet.Flavor
	// Peers are asked for what the replica does not hold: operations, logs,
	// snapshots and devices.
	Peers *client.Peers
	// AnswerWithin is how long a peer may take to begin its answer; 0 means ten
	// seconds. A host that is frozen keeps its connections open for ever.
	AnswerWithin time.Duration
	// Self is the host id of an agent, which is always heard; zero at a
	// registry, or its own id.
	Self fleet.UUID
	// Local answers for Self; nil at a registry.
	Local Local
	// Now is the clock for ages and for when a host was noticed to be gone;
	// nil means time.Now. It must be monotonic, as time.Now is.
	Now func() time.Time
	// Placement is how hosts are proposed; empty means fleet.Spread.
	Placement fleet.Strategy
	// Trust is what this node says of the roots that it trusts, and of itself.
	Trust func() fleet.TrustReport
	// RootOf names the root that a host's certificate is of, by the credential in
	// its block; empty where none that is trusted vouches for it. Nil knows nothing.
	RootOf func(credential []byte) string
	// Rand draws what placement samples; nil means a source of its own.
	Rand *rand.Rand
}

// View answers reads of the fleet. Its methods may be called from several
// goroutines at once and, where they do not say otherwise, neither block nor
// ask anyone.
type View struct {
	cfg     Config
	started time.Time

	mu        sync.RWMutex
	seen      uint64          // guarded by mu: the replica's last change taken in
	changed   <-chan struct{} // guarded by mu: closed when Members is to be read again
	status    map[fleet.UUID]fleet.MemberStatus
	alive     int                          // guarded by mu: agents that status calls alive
	since     map[fleet.UUID]inStatus      // guarded by mu: of every member, registries included
	standings map[fleet.HostID]standing    // guarded by mu: of every host with a block
	names     map[string][]fleet.HostID    // guarded by mu: host ids by name, ordered
	nameOf    map[fleet.HostID]string      // guarded by mu
	images    catalog                      // guarded by mu
	index     *placement.Index             // guarded by mu
	coverage  fleet.Coverage               // guarded by mu
	suspicion suspicion                    // guarded by mu
	facts     facts                        // guarded by mu
	audits    map[fleet.HostID]*heardAudit // guarded by mu
	members   members                      // guarded by mu
	decided   decided                      // guarded by mu
	witnesses fleet.WitnessSet             // guarded by mu: the newest set heard of

	ended    chan struct{} // closed when Run has ended
	watchers atomic.Int32  // calls of Watch whose context goes on

	rngMu sync.Mutex
	rng   *rand.Rand // guarded by rngMu
}

// New returns a view. It starts nothing; whoever makes it runs Run as well.
func New(cfg Config) *View {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.AnswerWithin == 0 {
		cfg.AnswerWithin = 10 * time.Second
	}
	if cfg.Placement == "" {
		cfg.Placement = fleet.Spread
	}
	if cfg.Rand == nil {
		cfg.Rand = rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	}
	return &View{
		cfg: cfg, started: cfg.Now(), rng: cfg.Rand, ended: make(chan struct{}),
		standings: map[fleet.HostID]standing{},
		names:     map[string][]fleet.HostID{},
		nameOf:    map[fleet.HostID]string{},
		images:    newCatalog(),
		index:     placement.NewIndex(nil),
		suspicion: newSuspicion(),
		facts:     newFacts(),
		audits:    map[fleet.HostID]*heardAudit{},
		members:   newMembers(),
		decided:   newDecided(),
	}
}

// Run takes in changes as they come until ctx ends, and then ends all watches
// and returns nil. It is called once. Reads are right without it, as each takes
// in what has changed; but only with it is the time at which a host fell silent
// noticed when it does, and not when somebody looks.
func (v *View) Run(ctx context.Context) error {
	defer close(v.ended)
	for {
		blocks := v.cfg.Source.Replica().Changed()
		members := v.cfg.Source.MembersChanged()
		v.refresh()
		select {
		case <-ctx.Done():
			return nil
		case <-members:
			continue
		case <-blocks:
		}
		// A busy mesh changes thousands of blocks a second; take them in by the
		// hundred, not one by one. Reads do not wait for this.
		pause := time.NewTimer(coalesce)
		select {
		case <-ctx.Done():
		case <-members:
		case <-pause.C:
		}
		pause.Stop()
	}
}

// coalesce is how long Run collects blocks. It bounds by how much it is noticed
// too late that others no longer hear a host.
const coalesce = 250 * time.Millisecond
