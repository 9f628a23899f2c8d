package mesh

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/hashicorp/serf/serf"

	"grapevine/mesh/meshtest"
)

// virtually runs f in virtual time. Bubbles are for tests only, and so this
// makes one inside a benchmark.
func virtually(b *testing.B, f func(t *testing.T)) {
	b.Helper()
	done := false
	ok := testing.RunTests(func(string, string) (bool, error) { return true, nil }, []testing.InternalTest{{
		Name: "in virtual time",
		F: func(t *testing.T) {
			t.Helper()
			if !done { // with -count, a test is run as often
				done = true
				synctest.Test(t, f)
			}
		},
	}})
	if !ok {
		b.Fatal("the run in virtual time failed")
	}
}

// gossipFleet is a fleet of whole members, of memberlist or of Serf, over a
// network in memory.
type gossipFleet struct {
	t       *testing.T
	of      alternative
	net     *meshtest.Network
	start   time.Time
	figures *spreadFigures
	members []gossipMember
}

// gossipMember is what the run needs of either library.
type gossipMember interface {
	join(addr string) error
	known() int
	send(payload []byte) error
	queued() int
	stop()
}

func startGossip(t *testing.T, of alternative, f *spreadFigures) *gossipFleet {
	t.Helper()
	w := &gossipFleet{
		t: t, of: of, net: meshtest.New(meshtest.Options{MinDelay: hop, MaxDelay: hop}), start: time.Now(), figures: f,
	}
	rng := rand.New(rand.NewPCG(f.plan.seed, 2))
	for i := range f.plan.nodes {
		// Timers tick from a member's start on, whatever its stagger: fleets do
		// not start in one instant, and so neither do these.
		time.Sleep(time.Duration(rng.Int64N(int64(time.Second))))
		x, err := w.member(i)
		if err != nil {
			t.Fatal(err)
		}
		w.members = append(w.members, x)
		if err := x.join(w.addr(0)); i > 0 && err != nil {
			t.Fatal(err)
		}
	}
	for !w.whole() {
		time.Sleep(time.Second)
	}
	return w
}

// whole reports whether all know all.
func (w *gossipFleet) whole() bool {
	for _, x := range w.members {
		if x.known() < len(w.members) {
			return false
		}
	}
	return true
}

func (w *gossipFleet) addr(node int) string {
	return fmt.Sprintf("10.1.%d.%d:7946", node/250, node%250+1)
}

func (w *gossipFleet) config(node int) (*memberlist.Config, error) {
	host, port, err := net.SplitHostPort(w.addr(node))
	if err != nil {
		return nil, err
	}
	c := w.of.config()
	c.Name = fmt.Sprintf("node-%05d", node)
	c.Transport = counted{w.net.Transport(w.addr(node)), w.figures, w.of.events}
	c.BindAddr, c.AdvertiseAddr = host, host
	if c.BindPort, err = strconv.Atoi(port); err != nil {
		return nil, err
	}
	c.AdvertisePort, c.LogOutput = c.BindPort, io.Discard
	return c, nil
}

func (w *gossipFleet) member(node int) (gossipMember, error) {
	c, err := w.config(node)
	if err != nil {
		return nil, err
	}
	if w.of.events {
		return w.serfMember(node, c)
	}
	d := &delegate{fleet: w, node: node}
	d.queue = memberlist.TransmitLimitedQueue{NumNodes: func() int { return d.members.NumMembers() }, RetransmitMult: c.RetransmitMult}
	c.Delegate = d
	d.members, err = memberlist.Create(c)
	return d, err
}

// heard takes in an update and reports whether it is news.
func (w *gossipFleet) heard(node int, payload []byte) bool {
	return w.figures.delivered(time.Since(w.start), node, spreadID(payload))
}

// run publishes the updates of the plan until a moment of it.
func (w *gossipFleet) run(updates []spreadUpdate, until time.Duration) []spreadUpdate {
	for len(updates) > 0 && updates[0].at < until {
		u := updates[0]
		updates = updates[1:]
		time.Sleep(u.at - time.Since(w.start))
		w.figures.published(time.Since(w.start), u.id)
		if err := w.members[u.node].send(u.payload); err != nil {
			w.t.Error(err)
		}
	}
	time.Sleep(until - time.Since(w.start))
	return updates
}

// queued is how many messages an average node has still to send.
func (w *gossipFleet) queued() float64 {
	n := 0
	for _, x := range w.members {
		n += x.queued()
	}
	return float64(n) / float64(len(w.members))
}

func (w *gossipFleet) stop() {
	for _, x := range w.members {
		x.stop()
	}
	time.Sleep(time.Minute) // memberlist does not wait for a probe that is under way
}

// counted is a socket that counts what is handed to it. Pings are counted too,
// the streams in which members compare their lists of members are not.
type counted struct {
	*meshtest.Transport
	figures *spreadFigures
	events  bool
}

func (c counted) WriteTo(b []byte, addr string) (time.Time, error) {
	c.figures.wire(len(b))
	if c.events { // Serf takes them in by itself, but each names its fields
		c.figures.copied(bytes.Count(b, []byte("Payload")))
	}
	return c.Transport.WriteTo(b, addr)
}

func (c counted) WriteToAddress(b []byte, a memberlist.Address) (time.Time, error) {
	return c.WriteTo(b, a.Addr)
}

// delegate has updates travel on memberlist's gossip, each node passing on
// what is news to it, as memberlist's documentation has it.
type delegate struct {
	fleet   *gossipFleet
	node    int
	members *memberlist.Memberlist
	queue   memberlist.TransmitLimitedQueue
}

var (
	_ memberlist.Delegate = (*delegate)(nil)
	_ gossipMember        = (*delegate)(nil)
)

func (d *delegate) NotifyMsg(message []byte) {
	d.fleet.figures.copied(1)
	if d.fleet.heard(d.node, message) {
		d.queue.QueueBroadcast(gossipMessage(append([]byte(nil), message...)))
	}
}

func (d *delegate) GetBroadcasts(overhead, limit int) [][]byte {
	return d.queue.GetBroadcasts(overhead, limit)
}

func (d *delegate) NodeMeta(int) []byte           { return nil }
func (d *delegate) LocalState(bool) []byte        { return nil }
func (d *delegate) MergeRemoteState([]byte, bool) {}
func (d *delegate) join(addr string) error        { _, err := d.members.Join([]string{addr}); return err }
func (d *delegate) known() int                    { return d.members.NumMembers() }
func (d *delegate) queued() int                   { return d.queue.NumQueued() }
func (d *delegate) stop()                         { _ = d.members.Shutdown() }
func (d *delegate) send(payload []byte) error {
	d.queue.QueueBroadcast(gossipMessage(payload))
	return nil
}

// eventMember has updates travel as Serf's user events.
type eventMember struct {
	*serf.Serf
	events chan serf.Event
	done   chan struct{}
}

var _ gossipMember = (*eventMember)(nil)

func (w *gossipFleet) serfMember(node int, c *memberlist.Config) (gossipMember, error) {
	conf := serf.DefaultConfig()
	conf.Init()
	conf.NodeName, conf.MemberlistConfig, conf.LogOutput = c.Name, c, io.Discard
	x := &eventMember{events: make(chan serf.Event, 4096), done: make(chan struct{})}
	conf.EventCh = x.events
	var err error
	if x.Serf, err = serf.Create(conf); err != nil {
		return nil, err
	}
	go func() {
		defer close(x.done)
		for {
			select {
			case e := <-x.events:
				if u, ok := e.(serf.UserEvent); ok {
					w.heard(node, u.Payload)
				}
			case <-x.ShutdownCh():
				return
			}
		}
	}()
	return x, nil
}

func (x *eventMember) join(addr string) error    { _, err := x.Join([]string{addr}, true); return err }
func (x *eventMember) known() int                { return x.NumNodes() }
func (x *eventMember) send(payload []byte) error { return x.UserEvent("u", payload, false) }

func (x *eventMember) queued() int {
	n, _ := strconv.Atoi(x.Stats()["event_queue"]) // always a number
	return n
}

func (x *eventMember) stop() {
	_ = x.Shutdown()
	<-x.done
}

// benchmarkLibrary runs a plan.
func benchmarkLibrary(b *testing.B, of alternative, p spreadPlan) {
	b.Helper()
	for b.Loop() {
		updates := p.updates()
		figures := newSpreadFigures(p, updates)
		var grew float64
		virtually(b, func(t *testing.T) {
			t.Helper()
			w := startGossip(t, of, figures)
			time.Sleep(10 * time.Second) // the news of the joins dies down
			w.start = time.Now()
			updates = w.run(updates, p.warm)
			before := w.queued()
			figures.begin()
			updates = w.run(updates, p.warm+p.window)
			figures.end()
			grew = w.queued() - before
			w.run(updates, p.warm+p.window+p.tail)
			w.stop()
		})
		figures.report(b)
		b.ReportMetric(grew/p.window.Seconds(), "queue-growth/s")
	}
}
