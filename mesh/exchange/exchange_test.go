package exchange

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"grapevine/fleet"
	"grapevine/mesh/replica"
	"grapevine/mesh/wire"
)

// sim is a few nodes, their links, and what is on its way. Each link keeps its
// order; links among each other have none.
type sim struct {
	now   time.Time
	nodes []*simNode
	links []*simLink
	sent  map[string]int // messages by type
}

type simNode struct {
	id     fleet.HostID
	x      *Exchange
	r      *replica.Replica
	origin *replica.Origin
	epoch  uint64
}

type simLink struct {
	ends  [2]*simNode
	peers [2]*Peer        // how ends[i] sees the other
	queue [2][]simMessage // to ends[i]
	woken [2]bool
}

type simMessage struct {
	bytes []byte
	at    time.Time
}

func newSim(n int) *sim {
	s := &sim{now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), sent: map[string]int{}}
	for i := range n {
		node := &simNode{id: fleet.NewUUIDv5(fleet.UUID{5}, fmt.Sprint(i)), r: replica.New()}
		node.x = New(node.id, true, node.r, time.Duration(i)*time.Millisecond)
		node.origin = replica.NewOrigin(node.id)
		node.begin(1, uint64(i)+1)
		s.nodes = append(s.nodes, node)
	}
	return s
}

func (n *simNode) begin(epoch, incarnation uint64) {
	n.epoch = epoch
	n.origin.Begin(epoch, incarnation)
}

func (s *sim) publish(n *simNode, rows ...replica.OwnRow) *replica.Block {
	b, changed, err := n.origin.Next(rows)
	if err != nil {
		panic(err)
	}
	if changed {
		n.x.Install(b, s.now)
		n.x.AnnounceSelf(s.now)
	}
	return b
}

func vm(n, state int) replica.OwnRow {
	return replica.OwnRow{
		Key:  wire.InstanceKey(fleet.NewUUIDv5(fleet.UUID{6}, fmt.Sprint(n))),
		Body: wire.EncodeInstance(fleet.Instance{Name: fmt.Sprintf("vm-%d", n), VCPUs: int64(state)}),
	}
}

func (s *sim) link(a, b int) *simLink {
	l := &simLink{ends: [2]*simNode{s.nodes[a], s.nodes[b]}}
	for i := range 2 {
		l.peers[i] = l.ends[i].x.Connect(l.ends[1-i].id, i == 0, func() { l.woken[i] = true }, s.now)
	}
	s.links = append(s.links, l)
	return l
}

func (s *sim) unlink(l *simLink) {
	for i := range 2 {
		l.ends[i].x.Disconnect(l.peers[i], s.now)
	}
	s.links = slices.DeleteFunc(s.links, func(o *simLink) bool { return o == l })
}

// send takes all that end i of a link has to say now.
func (s *sim) send(l *simLink, i int) bool {
	said := false
	if due := l.ends[i].x.FlushDue(); !due.IsZero() && !s.now.Before(due) {
		l.ends[i].x.Flush(l.ends[i].x.FlushDue())
	}
	for {
		m := l.ends[i].x.Next(l.peers[i], s.now)
		if m == nil {
			return said
		}
		said = true
		s.sent[fmt.Sprintf("%T", m)]++
		frame, err := wire.AppendFrame(nil, m)
		if err != nil {
			panic(err)
		}
		l.queue[1-i] = append(l.queue[1-i], simMessage{bytes: frame, at: s.now})
	}
}

func (s *sim) deliver(l *simLink, i int) {
	m, _, err := wire.NewReader(bytes.NewReader(l.queue[i][0].bytes)).Read()
	if err != nil {
		panic(err)
	}
	l.queue[i] = l.queue[i][1:]
	if err := l.ends[i].x.Receive(l.peers[i], m, s.now); err != nil {
		panic(err)
	}
}

// run works everything off, links in the order that pick says, until nothing
// is on its way, nothing waits and no time-out is left to come.
func (s *sim) run(pick func(n int) int) {
	idle := 0
	for idle < 5 {
		if s.step(pick) {
			idle = 0
			continue
		}
		idle++
		s.now = s.now.Add(maxFlush)
		for _, n := range s.nodes {
			n.x.Expire(s.now)
			n.x.CatchUp()
			if n.x.wants.Len() > 0 {
				s.now = s.now.Add(wantTimeout / 4)
				idle = min(idle, 1)
			}
		}
	}
}

// step lets all say what they have to, delivers one message, and reports whether
// there was any.
func (s *sim) step(pick func(n int) int) bool {
	worked := false
	for _, l := range s.links {
		for i := range 2 {
			worked = s.send(l, i) || worked
		}
	}
	var ready []func()
	for _, l := range s.links {
		for i := range 2 {
			if len(l.queue[i]) > 0 {
				ready = append(ready, func() { s.deliver(l, i) })
			}
		}
	}
	if len(ready) > 0 {
		ready[pick(len(ready))]()
		worked = true
	}
	s.now = s.now.Add(time.Millisecond)
	return worked
}

// settle works off what is due within a tick, without pulses and time-outs.
func (s *sim) settle() {
	for last := s.now.Add(maxFlush); s.now.Before(last); {
		if s.step(first) {
			last = s.now.Add(maxFlush)
		}
	}
}

func (s *sim) agreed() bool {
	for _, n := range s.nodes {
		if n.r.Root() != s.nodes[0].r.Root() {
			return false
		}
	}
	return true
}

func first(int) int { return 0 }

func TestAnyOrderOfMessagesAndLinksConverges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 6).Draw(t, "nodes")
		seed := rapid.Uint64().Draw(t, "seed")
		rng := rand.New(rand.NewPCG(seed, 1)) // repeatable
		s := newSim(n)
		for i := 1; i < n; i++ {
			s.link(rng.IntN(i), i)
		}
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			node := s.nodes[rng.IntN(n)]
			switch rng.IntN(8) {
			case 0: // a restart
				node.begin(node.epoch+1, rng.Uint64())
				fallthrough
			case 1, 2, 3:
				var rows []replica.OwnRow
				for v := range 4 {
					if rng.IntN(3) > 0 {
						rows = append(rows, vm(v, rng.IntN(3)))
					}
				}
				s.publish(node, rows...)
			case 4: // a link breaks with all that is on it, and another comes
				l := s.links[rng.IntN(len(s.links))]
				s.unlink(l)
				a := slices.Index(s.nodes, l.ends[0])
				s.link(slices.Index(s.nodes, l.ends[1]), a)
			default: // some messages move
				for _, l := range s.links {
					for i := range 2 {
						s.send(l, i)
						if len(l.queue[i]) > 0 && rng.IntN(2) == 0 {
							s.deliver(l, i)
						}
					}
				}
				s.now = s.now.Add(time.Duration(rng.IntN(30)) * time.Millisecond)
			}
		}
		s.run(rng.IntN)
		if !s.agreed() {
			t.Fatalf("nodes do not agree after all is said")
		}
		for _, node := range s.nodes {
			if node.x.wants.Len() > 0 {
				t.Fatalf("%d wants are left", node.x.wants.Len())
			}
		}
	})
}

func TestPayloadReachesEachNodeOnce(t *testing.T) {
	s := newSim(8)
	for a := range 8 {
		for b := range a {
			s.link(a, b)
		}
	}
	s.run(first)
	clear(s.sent)
	before := make([]Stats, len(s.nodes))
	for i, n := range s.nodes {
		before[i] = n.x.Stats()
	}
	s.publish(s.nodes[0], vm(1, 1))
	s.run(first)
	for i, n := range s.nodes[1:] {
		now := n.x.Stats()
		if got := now.Applied + now.Stale - before[i+1].Applied - before[i+1].Stale; got != 1 {
			t.Errorf("node %d got the payload %d times", i+1, got)
		}
	}
}

func TestSlowPeerIsToldOnceAndTheNewest(t *testing.T) {
	s := newSim(2)
	l := s.link(0, 1)
	s.run(first)
	for i := range 1000 {
		s.publish(s.nodes[0], vm(1, i))
		s.now = s.now.Add(time.Millisecond)
	}
	p := l.peers[0]
	x := s.nodes[0].x
	if x.Dirty(p) != 1 || len(x.versions.log) > 200 {
		t.Errorf("1000 publications leave %d hosts and %d places in the news", x.Dirty(p), len(x.versions.log))
	}
	clear(s.sent)
	s.run(first)
	if s.sent["*wire.Announce"] != 1 || s.sent["*wire.Answer"] != 1 {
		t.Errorf("it was told with %v", s.sent)
	}
	if !s.agreed() {
		t.Error("it does not hold the newest")
	}
}

func TestEqualRootsCostTwoFrames(t *testing.T) {
	s := newSim(2)
	s.publish(s.nodes[0], vm(1, 1))
	l := s.link(0, 1)
	s.run(first)
	s.unlink(l)
	clear(s.sent)
	l = s.link(0, 1)
	s.run(first)
	delete(s.sent, "*wire.Peers")
	if len(s.sent) != 2 || s.sent["*wire.Root"] != 1 || s.sent["*wire.BucketDigests"] != 1 {
		t.Errorf("reconnecting sent %v", s.sent)
	}
	if !l.peers[0].Merged() || !l.peers[1].Merged() {
		t.Error("equal roots are not merged digests")
	}
}

func TestWantGoesToTheNextAnnouncerWhenOneIsSilent(t *testing.T) {
	s := newSim(4)
	s.link(0, 1)
	s.link(0, 2)
	s.run(first)
	s.publish(s.nodes[0], vm(1, 1))
	s.run(first) // 1 and 2 hold it, 3 does not
	silent, honest := s.link(1, 3), s.link(2, 3)
	deaf := s.nodes[1].r.Root()
	for range 200 {
		for _, l := range []*simLink{silent, honest} {
			for i := range 2 {
				s.send(l, i)
				for len(l.queue[i]) > 0 {
					m, _, _ := wire.NewReader(bytes.NewReader(l.queue[i][0].bytes)).Read()
					if _, want := m.(*wire.Want); l == silent && want {
						l.queue[i] = l.queue[i][1:]
						continue
					}
					s.deliver(l, i)
				}
			}
		}
		s.now = s.now.Add(50 * time.Millisecond)
		s.nodes[3].x.Expire(s.now)
	}
	if s.nodes[3].r.Root() != deaf {
		t.Error("the want was never answered")
	}
}

func TestStalledWantsWaitOnceForEachPeer(t *testing.T) {
	s := newSim(1)
	x := s.nodes[0].x
	peers := []*Peer{}
	for i := range 3 {
		peers = append(peers, x.Connect(fleet.UUID{byte(i + 1)}, false, func() {}, s.now))
	}
	const hosts = 1000
	for _, p := range peers {
		m := &wire.Announce{}
		for tag := range wire.Tag(hosts) {
			m.Items = append(m.Items, wire.Announcement{Tag: tag, Epoch: 1, Seq: 1})
		}
		if err := x.Receive(p, m, s.now); err != nil {
			t.Fatal(err)
		}
	}
	for range 10 { // nothing is sent for long
		s.now = s.now.Add(maxWantTimeout)
		x.Expire(s.now)
	}
	if got := x.Load().Asking; got != 3*hosts {
		t.Errorf("%d wants wait to be sent to 3 peers, want each of %d once", got, hosts)
	}
	sent := map[wire.Tag]int{}
	for m, ok := x.nextWant(peers[2]).(*wire.Want); ok; m, ok = x.nextWant(peers[2]).(*wire.Want) {
		for _, item := range m.Items {
			sent[item.Tag]++
		}
		peers[2].asked = asked{first: peers[2].asked.next()} // as if all were answered
	}
	for tag, times := range sent {
		if times != 1 {
			t.Errorf("host %d is asked for %d times", tag, times)
		}
	}
	if len(sent) != hosts {
		t.Errorf("%d hosts are asked for, want %d", len(sent), hosts)
	}
}

func TestLostLinkPassesItsWantsOn(t *testing.T) {
	s := newSim(3)
	s.link(0, 1)
	s.publish(s.nodes[0], vm(1, 1))
	s.run(first)
	lost, other := s.link(0, 2), s.link(1, 2)
	x, peers := s.nodes[2].x, []*Peer{lost.peers[1], other.peers[1]}
	head := s.nodes[0].r.Block(s.nodes[0].id).Head()
	for _, p := range peers {
		item := wire.Announcement{Tag: wire.TagOf(head.Host), Epoch: head.Epoch, Seq: head.Seq}
		if err := x.Receive(p, &wire.Announce{Items: []wire.Announcement{item}}, s.now); err != nil {
			t.Fatal(err)
		}
	}
	if m := x.Next(peers[0], s.now); m == nil {
		t.Fatal("the first announcer is not asked")
	}
	if m, ok := x.Next(peers[1], s.now).(*wire.Want); ok {
		t.Fatalf("both announcers are asked: %v", m)
	}
	x.Disconnect(peers[0], s.now)
	if _, ok := x.Next(peers[1], s.now).(*wire.Want); !ok {
		t.Error("after the link was lost the next announcer is not asked")
	}
}

func TestTamperedBlockIsRefusedAndFetchedElsewhere(t *testing.T) {
	s := newSim(3)
	s.publish(s.nodes[0], vm(1, 1), vm(2, 1))
	s.link(0, 1)
	s.run(first)
	evil, good := s.link(0, 2), s.link(1, 2)
	refused := 0
	s.nodes[2].x.Rejected = func(*Peer, fleet.HostID, error) { refused++ }
	for range 400 {
		for _, l := range []*simLink{evil, good} {
			for i := range 2 {
				s.send(l, i)
				for len(l.queue[i]) > 0 {
					m, _, _ := wire.NewReader(bytes.NewReader(l.queue[i][0].bytes)).Read()
					if answer, ok := m.(*wire.Answer); ok && l == evil && i == 1 {
						for d := range answer.Deltas {
							for r := range answer.Deltas[d].Rows {
								answer.Deltas[d].Rows[r].Body = []byte("forged")
							}
						}
						l.queue[i][0].bytes, _ = wire.AppendFrame(nil, answer)
					}
					s.deliver(l, i)
				}
			}
		}
		s.now = s.now.Add(50 * time.Millisecond)
		s.nodes[2].x.Expire(s.now)
	}
	if refused == 0 {
		t.Error("nothing was refused")
	}
	if s.nodes[2].r.Root() != s.nodes[0].r.Root() {
		t.Error("the block was not fetched elsewhere")
	}
}

// Two hosts under one tag, which a second preimage of 32 bits gives: wants too
// many, but both are held in their newest versions.
func TestHostsThatShareATagAreBothHeld(t *testing.T) {
	one, two := sharedTag(t)
	s := newSim(3)
	for i, id := range []fleet.HostID{one, two} {
		n := s.nodes[i]
		n.id, n.r = id, replica.New()
		n.x = New(id, true, n.r, 0)
		n.origin = replica.NewOrigin(id)
		n.begin(uint64(5-4*i), uint64(i)+1) // the second's epochs are lower
	}
	s.publish(s.nodes[0], vm(1, 1))
	s.publish(s.nodes[1], vm(2, 1))
	links := []*simLink{s.link(0, 2), s.link(1, 2), s.link(0, 1)}
	s.run(first)
	for round := range 3 {
		s.publish(s.nodes[0], vm(1, 2+round))
		s.publish(s.nodes[1], vm(2, 2+round))
		s.run(first)
	}
	for _, l := range links { // what announcements missed the comparison finds
		l.ends[0].x.Compare(l.peers[0])
	}
	s.run(first)
	if !s.agreed() || s.nodes[2].r.Len() != 2 {
		t.Errorf("the nodes hold %d, %d and %d hosts", s.nodes[0].r.Len(), s.nodes[1].r.Len(), s.nodes[2].r.Len())
	}
}

// sharedTag finds two ids with one tag: among 100,000 there is one pair with a
// probability of 69 %, among 300,000 with 99.997 %.
func sharedTag(t *testing.T) (one, two fleet.HostID) {
	t.Helper()
	seen := map[wire.Tag]fleet.HostID{}
	for i := range 1_000_000 {
		id := fleet.NewUUIDv5(fleet.UUID{7}, fmt.Sprint(i))
		if other, ok := seen[wire.TagOf(id)]; ok {
			return other, id
		}
		seen[wire.TagOf(id)] = id
	}
	t.Fatal("no two ids share a tag")
	return one, two
}

func TestUnknownMessageAndBlockOfNoHostBreakTheLink(t *testing.T) {
	s := newSim(2)
	l := s.link(0, 1)
	if err := s.nodes[0].x.Receive(l.peers[0], &wire.Hello{}, s.now); !errors.Is(err, ErrProtocol) {
		t.Errorf("a second hello: %v", err)
	}
	b := s.publish(s.nodes[1], vm(1, 1))
	d, _ := b.Since(wire.Head{})
	d.Head.Host = fleet.HostID{}
	if err := s.nodes[0].x.Receive(l.peers[0], &wire.Answer{Deltas: []wire.Delta{d}}, s.now); !errors.Is(err, ErrProtocol) {
		t.Errorf("a block of no host: %v", err)
	}
}

func TestOwnBlockIsNeverTakenFromOthers(t *testing.T) {
	s := newSim(2)
	s.publish(s.nodes[0], vm(1, 1))
	old := replica.NewOrigin(s.nodes[0].id)
	old.Begin(9, 9)
	b, _, err := old.Next([]replica.OwnRow{
		vm(2, 2), {Key: wire.HostKey(s.nodes[0].id), Body: wire.EncodeHost(fleet.Host{Hardware: "theirs"})},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.nodes[1].r.Install(b, s.now)
	s.nodes[1].x = New(s.nodes[1].id, true, s.nodes[1].r, 0)
	s.link(1, 0)
	s.run(first)
	if got := s.nodes[0].r.Version(s.nodes[0].id).Epoch; got != 1 {
		t.Errorf("the own block was replaced by epoch %d", got)
	}
	life, heard := s.nodes[0].x.TakeSelf()
	if !heard || life.Epoch != 9 || life.Incarnation != 9 || life.Hardware != "theirs" {
		t.Errorf("of itself the node heard %+v, %v", life, heard)
	}
	if _, again := s.nodes[0].x.TakeSelf(); again {
		t.Error("the same is told twice")
	}
}

func BenchmarkPublishToSeenByOneHundred(b *testing.B) {
	s := newSim(100)
	rng := rand.New(rand.NewPCG(1, 1)) // repeatable
	for i := 1; i < 100; i++ {
		for range min(3, i) {
			s.link(i, rng.IntN(i))
		}
	}
	s.run(first)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		at := s.publish(s.nodes[i%100], vm(1, i)).Version()
		for seen := false; !seen; {
			seen = true
			for _, l := range s.links {
				for e := range 2 {
					s.send(l, e)
				}
			}
			for _, l := range s.links {
				for e := range 2 {
					for len(l.queue[e]) > 0 {
						s.deliver(l, e)
					}
				}
			}
			s.now = s.now.Add(minFlush)
			for _, n := range s.nodes {
				seen = seen && n.r.Version(at.Host).AtLeast(at)
			}
		}
	}
}
