package meshtest

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"time"

	"grapevine/fleet"
	"grapevine/mesh/node"
	"grapevine/mesh/replica"
	"grapevine/mesh/wire"
)

// FleetOptions say how a simulated fleet behaves.
type FleetOptions struct {
	Seed uint64
	// MinDelay and MaxDelay bound the time that a write is on its way. Equal
	// bounds make large fleets cheaper.
	MinDelay, MaxDelay time.Duration
	// StreamLoss is the share of writes that are lost; the stream then stalls in
	// that direction for good.
	StreamLoss float64
	// Links and MaxInbound are those of node.Config; 0 means 3 and 16.
	Links, MaxInbound int
	// Shards is how many parts of the fleet may run at a time; 0 means 1, as
	// does a MinDelay of zero. The history is the same with any number.
	Shards int
	// Seal and Verifier are those of mesh.Config, for each member; nil for a fleet
	// without identities.
	Seal     func(m *Member) func() (credential []byte, sign func(message []byte) []byte)
	Verifier func(m *Member) replica.Verifier
	// Log takes what the nodes log; nil means nothing.
	Log *slog.Logger
}

// Fleet is a fleet of nodes as one discrete-event simulation: the same seed
// and the same calls give the same history, event for event, in however many
// shards it runs. Nodes, frames and their encoding are the real ones; streams,
// disks, gossip and time are not. Handling takes no time. It is for one
// goroutine, but for what is called back.
type Fleet struct {
	Nodes []*Member

	opts    FleetOptions
	agents  int // of the start, whom the shards divide among them
	rng     *rand.Rand
	start   time.Time
	clock   time.Duration
	ordinal uint64 // of the last thing put off from outside
	moments heap   // what the whole fleet stands still for
	shards  []*shard
	address map[string]*Member
	cut     map[[2]int]bool

	// Wrote, where set, is called for every write to a stream: who wrote what.
	// It, Took and Change are called from within Run, and must not change the
	// fleet. With several shards calls about members of different shards come
	// at the same time.
	Wrote func(m *Member, msgs []wire.Message, bytes int)
	// Took, where set, is called after a node took an answer, with how many of
	// its deltas brought something new.
	Took func(m *Member, answer *wire.Answer, applied int)
	// Change, where set, may change or drop what is on its way: nil drops it.
	Change func(from, to *Member, write []byte) []byte
}

// Member is one node of a fleet, through all its lives.
type Member struct {
	*node.Node // of the present life
	Index      int
	ID         fleet.UUID
	Role       fleet.Role
	Up         bool
	// Failed is why the node gave up, nil while it has not.
	Failed error
	// DiskFull makes epochs fail to be stored.
	DiskFull bool
	// Hardware is the machine's fingerprint.
	Hardware string
	// Skew is how far the machine's clock is off.
	Skew time.Duration

	fleet   *Fleet
	shard   *shard
	rng     *rand.Rand // of what it writes
	ordinal uint64     // of the last event that it caused
	life    int        // which one this is; events of earlier ones are void
	epoch   uint64
	view    []fleet.Member
	woken   []*node.Link
	listed  bool // in shard.dirty
	frozen  bool
	thaw    []func() // what happened meanwhile
	timer   time.Duration
	ends    map[*node.Link]*end
}

// end is one side of a stream.
type end struct {
	member  *Member
	life    int
	link    *node.Link
	other   *end
	open    bool
	woken   bool          // it is among its member's woken
	stalled bool          // nothing that this side writes arrives any more
	last    time.Duration // arrival of the last write
}

// NewFleet returns a fleet of so many agents that are down.
func NewFleet(agents int, opts FleetOptions) *Fleet {
	if opts.Links == 0 {
		opts.Links = 3
	}
	if opts.MaxInbound == 0 {
		opts.MaxInbound = 16
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.MinDelay <= 0 || opts.Shards == 0 {
		opts.Shards = 1
	}
	f := &Fleet{
		opts: opts, agents: agents, rng: rand.New(rand.NewPCG(opts.Seed, 0)), // repeatable
		start: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), address: map[string]*Member{}, cut: map[[2]int]bool{},
	}
	for i := range opts.Shards {
		f.shards = append(f.shards, newShard(f, i))
	}
	for range agents {
		f.Add(fleet.RoleAgent)
	}
	return f
}

// Add adds a member, which is down.
func (f *Fleet) Add(role fleet.Role) *Member {
	i := len(f.Nodes)
	m := &Member{
		Index: i, ID: fleet.NewUUIDv5(fleet.UUID{9}, fmt.Sprint(i)), Role: role, fleet: f,
		shard: f.shards[min(i*len(f.shards)/max(f.agents, 1), len(f.shards)-1)], rng: rand.New(rand.NewPCG(f.opts.Seed, uint64(i)+1)),
		Hardware: fmt.Sprint("machine ", i), ends: map[*node.Link]*end{},
	}
	f.Nodes = append(f.Nodes, m)
	f.address[addressOf(i)] = m
	return m
}

func addressOf(index int) string { return fmt.Sprint("node-", index) }

// Listed returns how gossip lists a member that is alive.
func (m *Member) Listed() fleet.Member {
	return fleet.Member{
		ID: m.ID, Name: addressOf(m.Index), Role: m.Role, Status: fleet.MemberAlive,
		API: addressOf(m.Index), Gossip: addressOf(m.Index), Protocol: node.Protocol,
	}
}

// Everybody is how gossip lists the whole fleet while all of it is alive,
// ordered by id.
func (f *Fleet) Everybody() []fleet.Member {
	list := make([]fleet.Member, 0, len(f.Nodes))
	for _, m := range f.Nodes {
		list = append(list, m.Listed())
	}
	slices.SortFunc(list, func(a, b fleet.Member) int { return a.ID.Compare(b.ID) })
	return list
}

// Now is the fleet's time by a clock that is right.
func (f *Fleet) Now() time.Time { return f.start.Add(f.clock) }

// now is the time by the member's own clock.
func (m *Member) now() time.Time { return m.fleet.start.Add(m.shard.clock + m.Skew) }

// Clock is how long the fleet has run. What is called back about a member asks
// the member.
func (f *Fleet) Clock() time.Duration { return f.clock }

// Clock is how long the fleet has run where the member is.
func (m *Member) Clock() time.Duration { return m.shard.clock }

// Shard says which of the fleet's shards the member is in.
func (m *Member) Shard() int { return m.shard.index }

// Bytes returns how many bytes were written to streams.
func (f *Fleet) Bytes() uint64 {
	total := uint64(0)
	for _, s := range f.shards {
		total += s.bytes
	}
	return total
}

// Start begins a life of a member with an empty replica, as after a start of
// its process; its epoch is what its disk has.
func (f *Fleet) Start(m *Member, r *replica.Replica) {
	m.life++
	m.Up, m.Failed = true, nil
	links := f.opts.Links
	if m.Role == fleet.RoleRegistry {
		links = 12
	}
	var seal func() ([]byte, func([]byte) []byte)
	if f.opts.Seal != nil && m.Role == fleet.RoleAgent {
		seal = f.opts.Seal(m)
	}
	if f.opts.Verifier != nil {
		r.VerifyWith(f.opts.Verifier(m))
	}
	m.Node = node.New(node.Config{
		ID: m.ID, Name: addressOf(m.Index), Role: m.Role, Label: "sim", Gossip: addressOf(m.Index), Hardware: m.Hardware,
		Links: links, MaxInbound: f.opts.MaxInbound, Joins: true, Epoch: m.epoch, Seal: seal,
		Rand: rand.New(rand.NewPCG(f.rng.Uint64(), f.rng.Uint64())), Log: f.opts.Log.With("node", m.Index),
	}, r, m)
	m.timer = 0
	if m.view != nil {
		m.Node.Members(m.view, m.now())
	}
	m.Node.Start(m.now())
	m.settle()
}

// See tells a member whom gossip lists, ordered by id. The list is shared and
// must not change any more.
func (f *Fleet) See(m *Member, list []fleet.Member) {
	m.view = list
	f.Do(m, func(now time.Time) { m.Node.Members(list, now) })
}

// Do calls into a member that is up, and lets it act on it; one that is frozen
// once it thaws.
func (f *Fleet) Do(m *Member, call func(now time.Time)) {
	switch {
	case !m.Up:
	case m.frozen:
		m.thaw = append(m.thaw, func() { f.Do(m, call) })
	default:
		call(m.now())
		m.settle()
	}
}
