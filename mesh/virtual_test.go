package mesh

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"grapevine/fleet"
	"grapevine/mesh/meshtest"
)

// world is a fleet in virtual time: real members over a network in memory. Who
// is there is told by a directory that the test writes.
type world struct {
	t       *testing.T
	net     *meshtest.Network
	dir     *directory
	members map[string]*member // running, by name
	log     *slog.Logger
	serf    bool
}

// member is one running node.
type member struct {
	*Mesh
	name     string // also its address
	cancel   context.CancelFunc
	finished chan struct{}
	err      error
}

func newWorld(t *testing.T, opts meshtest.Options) *world {
	t.Helper()
	w := &world{
		t: t, net: meshtest.New(opts), dir: newDirectory(), members: map[string]*member{},
		log: slog.New(slog.DiscardHandler),
	}
	if os.Getenv("MESH_TEST_LOG") != "" {
		w.log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	return w
}

func nameOf(n int) string { return fmt.Sprintf("10.0.%d.%d", n/250, n%250+1) }

func idOf(name string) fleet.UUID { return fleet.NewUUIDv5(fleet.UUID{2}, name) }

// start runs a member and makes it known to all.
func (w *world) start(name string, change ...func(*Config)) *member {
	w.t.Helper()
	cfg := Config{
		ID: idOf(name), Name: name, Role: fleet.RoleAgent, API: name + ":7947", Join: []string{"seed"},
		Epochs: &meshtest.Epochs{}, Hardware: "hardware of " + name, Log: w.log.With("node", name),
		Dial: func(ctx context.Context, addr string, _ fleet.UUID) (net.Conn, error) {
			return w.net.Dial(ctx, name, addr)
		},
	}
	for _, f := range change {
		f(&cfg)
	}
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		w.t.Fatal(err)
	}
	m, err := newMesh(cfg, w.dir.member(cfg))
	if err != nil {
		w.t.Fatal(err)
	}
	return w.launch(name, m)
}

// launch runs a member and takes in the links to it.
func (w *world) launch(name string, m *Mesh) *member {
	ctx, cancel := context.WithCancel(context.Background()) // stop ends it
	x := &member{Mesh: m, name: name, cancel: cancel, finished: make(chan struct{})}
	listener := w.net.Listen(name + ":7947")
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { m.Accept(ctx, c, fleet.UUID{}) })
		}
	})
	go func() {
		defer close(x.finished)
		x.err = m.Run(ctx)
		_ = listener.Close()
		wg.Wait()
	}()
	w.members[name] = x
	return x
}

// stop ends a member and waits for it.
func (w *world) stop(x *member) {
	w.t.Helper()
	x.cancel()
	<-x.finished
	if w.members[x.name] == x {
		delete(w.members, x.name)
	}
}

func (w *world) stopAll() {
	for _, name := range w.names() {
		w.members[name].cancel()
	}
	for _, name := range w.names() {
		w.stop(w.members[name])
	}
	if w.serf {
		// memberlist does not wait for a probe that is under way; it ends with
		// its time-out.
		time.Sleep(time.Minute)
	}
}

func (w *world) names() []string {
	names := make([]string, 0, len(w.members))
	for name := range w.members {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// waitFor waits in virtual time, and fails after limit of it. It looks every
// millisecond at first, and less often once that tells no more.
func (w *world) waitFor(limit time.Duration, what string, ok func() bool) time.Duration {
	w.t.Helper()
	start := time.Now()
	for !ok() {
		if time.Since(start) > limit {
			w.t.Fatalf("after %v still not so: %s%s", limit, what, w.describe())
		}
		time.Sleep(max(time.Millisecond, time.Since(start)/50))
	}
	return time.Since(start)
}

func (w *world) describe() string {
	var b bytes.Buffer
	for _, name := range w.names() {
		x := w.members[name]
		fmt.Fprintf(&b, "\n%s: root %016x, %d hosts, %d links, settled %v", name, x.Replica().Root(), x.Replica().Len(), len(x.LinkList()), x.Settled())
	}
	return b.String()
}

// agree reports whether all members hold the same fleet of n hosts.
func (w *world) agree(n int) bool {
	var root uint64
	for i, name := range w.names() {
		r := w.members[name].Replica()
		if i == 0 {
			root = r.Root()
		}
		if r.Len() != n || r.Root() != root {
			return false
		}
	}
	return true
}

// say publishes that the host runs so many instances.
func (x *member) say(instances int) fleet.Version { return x.Publish(x.state(instances)) }

func (x *member) state(instances int) State {
	s := State{Host: fleet.Host{Name: x.name, Hypervisor: fleet.KVM, State: fleet.HostOK, Instances: instances, Hardware: x.cfg.Hardware, API: x.name + ":7947"}}
	for i := range instances {
		s.Instances = append(s.Instances, fleet.Instance{
			ID: fleet.NewUUIDv5(x.cfg.ID, fmt.Sprint(i)), Name: fmt.Sprintf("vm-%d", i), Power: fleet.PowerRunning,
		})
	}
	return s
}

// instances counts what x sees on a host.
func (x *member) instances(name string) int {
	b := x.Replica().Block(idOf(name))
	if b == nil {
		return -1
	}
	n := 0
	for range b.Instances() {
		n++
	}
	return n
}

// directory is a membership that is right at once and everywhere, except where
// a test says otherwise.
type directory struct {
	mu      sync.Mutex
	members map[fleet.UUID]fleet.Member
	changed chan struct{}
}

func newDirectory() *directory {
	return &directory{members: map[fleet.UUID]fleet.Member{}, changed: make(chan struct{})}
}

func (d *directory) set(m fleet.Member) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.members[m.ID] = m
	close(d.changed)
	d.changed = make(chan struct{})
}

// status changes what the directory says of a member.
func (d *directory) status(name string, s fleet.MemberStatus) {
	d.mu.Lock()
	m := d.members[idOf(name)]
	d.mu.Unlock()
	m.Status = s
	d.set(m)
}

func (d *directory) member(cfg Config) *listed {
	return &listed{dir: d, self: fleet.Member{
		ID: cfg.ID, Name: cfg.Name, Role: cfg.Role, Status: fleet.MemberAlive,
		Gossip: cfg.Name + ":7946", API: cfg.API, Protocol: Protocol,
	}}
}

// listed is one member's view of the directory.
type listed struct {
	dir   *directory
	self  fleet.Member
	joins atomic.Int64
}

var _ Membership = (*listed)(nil)

func (l *listed) Start() error { l.dir.set(l.self); return nil }

func (l *listed) Run(ctx context.Context) error { <-ctx.Done(); return nil }

func (l *listed) Members() []fleet.Member {
	l.dir.mu.Lock()
	defer l.dir.mu.Unlock()
	members := make([]fleet.Member, 0, len(l.dir.members))
	for _, m := range l.dir.members {
		members = append(members, m)
	}
	slices.SortFunc(members, func(a, b fleet.Member) int { return a.ID.Compare(b.ID) })
	return members
}

func (l *listed) Changed() <-chan struct{} {
	l.dir.mu.Lock()
	defer l.dir.mu.Unlock()
	return l.dir.changed
}

func (l *listed) Join(string) error  { l.joins.Add(1); return nil }
func (l *listed) Leave()             {}
func (l *listed) Close()             {}
func (l *listed) Addr() string       { return l.self.Gossip }
func (l *listed) Advertised() string { return l.self.Gossip }

func lan() meshtest.Options {
	return meshtest.Options{Seed: 1, MinDelay: 200 * time.Microsecond, MaxDelay: 2 * time.Millisecond}
}

func TestFortyNodesConvergeUnderLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 40
		opts := lan()
		opts.StreamLoss = 0.002
		w := newWorld(t, opts)
		for i := range n {
			w.start(nameOf(i)).say(i % 5)
		}
		// While streams stall now and then, links come and go, and with them the
		// hints in the blocks of those who lost one: what is compared is what the
		// hosts said.
		hold := func(instances func(i int) int) func() bool {
			return func() bool {
				for i := range n {
					for j := range n {
						if w.members[nameOf(i)].instances(nameOf(j)) != instances(j) {
							return false
						}
					}
				}
				return true
			}
		}
		w.waitFor(time.Minute, "all hold what was said first", hold(func(j int) int { return j % 5 }))
		for round := range 20 {
			for i := range n {
				w.members[nameOf(i)].say((round + i) % 7)
			}
			time.Sleep(100 * time.Millisecond)
		}
		took := w.waitFor(30*time.Second, "all hold the last round", hold(func(j int) int { return (19 + j) % 7 }))
		w.net.SetLoss(0, 0)
		equal := w.waitFor(30*time.Second, "all blocks are equal", func() bool { return w.agree(n) })
		t.Logf("converged %v after the last publication, equal %v after the last loss", took, equal)
		w.stopAll()
	})
}
