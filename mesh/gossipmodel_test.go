package mesh

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"
)

// What memberlist and Serf put around an update, in bytes. Every message of a
// packet with several has two bytes of length; the packet two of its own.
const (
	compoundBytes     = 2
	compoundEachBytes = 2
	userBytes         = 1
	checksumBytes     = 5
	// A ping names both ends, an acknowledgement only its number.
	pingBytes, ackBytes = 62, 18
	// serfEventBytes is a user event with a name of one letter, as encoded,
	// beyond its payload.
	serfEventBytes = 33
)

// gossipModel is a fleet of memberlist's queues, real ones, and of the events
// in which memberlist fills packets from them: every gossip interval one for
// each of a few random nodes, and with every ping and its answer. Handling
// takes no time and nothing is lost.
type gossipModel struct {
	cfg     *memberlist.Config
	rng     *rand.Rand
	figures *spreadFigures
	updates []spreadUpdate
	sent    []gossipMessage // by update
	queues  []*memberlist.TransmitLimitedQueue
	gossip  cycle
	probes  cycle
	flying  fifo
	now     time.Duration
}

// gossipMessage is one update on its way; no other replaces it.
type gossipMessage []byte

var _ memberlist.UniqueBroadcast = gossipMessage(nil)

func (m gossipMessage) Invalidates(memberlist.Broadcast) bool { return false }
func (m gossipMessage) Message() []byte                       { return m }
func (m gossipMessage) Finished()                             {}
func (m gossipMessage) UniqueBroadcast()                      {}

// message is an update as it is queued.
func (a alternative) message(payload []byte) gossipMessage {
	if a.events {
		return slices.Concat(payload, make([]byte, serfEventBytes))
	}
	return payload
}

func newGossipModel(a alternative, p spreadPlan) *gossipModel {
	m := &gossipModel{cfg: a.config(), rng: rand.New(rand.NewPCG(p.seed, 1)), updates: p.updates()}
	m.figures = newSpreadFigures(p, m.updates)
	for _, u := range m.updates {
		m.sent = append(m.sent, a.message(u.payload))
	}
	for range p.nodes {
		m.queues = append(m.queues, &memberlist.TransmitLimitedQueue{
			NumNodes: func() int { return p.nodes }, RetransmitMult: m.cfg.RetransmitMult,
		})
	}
	m.gossip = newCycle(m.rng, p.nodes, m.cfg.GossipInterval)
	m.probes = newCycle(m.rng, p.nodes, m.cfg.ProbeInterval)
	return m
}

// run lets time pass until then.
func (m *gossipModel) run(until time.Duration) {
	for {
		next := min(m.gossip.next(), m.probes.next(), m.flying.next())
		update := len(m.updates) > 0 && m.updates[0].at <= next
		if update {
			next = m.updates[0].at
		}
		if next > until {
			m.now = until
			return
		}
		m.now = next
		switch {
		case update:
			m.publish(m.updates[0])
			m.updates = m.updates[1:]
		case next == m.flying.next():
			m.receive(m.flying.pop())
		case next == m.gossip.next():
			m.spread(m.gossip.pop())
		default:
			m.ping(m.probes.pop())
		}
	}
}

func (m *gossipModel) publish(u spreadUpdate) {
	m.figures.published(m.now, u.id)
	m.queues[u.node].QueueBroadcast(m.sent[u.id])
}

// spread is what memberlist does every gossip interval.
func (m *gossipModel) spread(node int) {
	for _, to := range m.others(node, m.cfg.GossipNodes) {
		messages := take(m.cfg, m.queues[node], 0)
		if len(messages) == 0 {
			return
		}
		m.put(packet{to: to, answer: nobody, messages: messages}, len(messages), checksumBytes)
	}
}

// ping goes to any node, and is answered.
func (m *gossipModel) ping(node int) {
	m.send(packet{to: m.others(node, 1)[0], answer: node}, node, pingBytes)
}

// send sends a ping or its answer, with what else there is room for.
func (m *gossipModel) send(p packet, from, size int) {
	p.messages = take(m.cfg, m.queues[from], size)
	m.put(p, 1+len(p.messages), size)
}

// put hands a packet to the network: so many parts, and so many bytes beside
// the updates.
func (m *gossipModel) put(p packet, parts, size int) {
	for _, message := range p.messages {
		size += userBytes + len(message)
	}
	if parts > 1 {
		size += compoundBytes + parts*compoundEachBytes
	}
	m.figures.wire(size)
	p.at = m.now + hop
	m.flying.push(p)
}

func (m *gossipModel) receive(p packet) {
	m.figures.copied(len(p.messages))
	for _, message := range p.messages {
		if id := spreadID(message); m.figures.delivered(m.now, p.to, id) {
			m.queues[p.to].QueueBroadcast(m.sent[id])
		}
	}
	if p.answer != nobody {
		m.send(packet{to: p.answer, answer: nobody}, p.to, ackBytes)
	}
}

// others returns some nodes, each once and not the one that asks.
func (m *gossipModel) others(node, n int) []int {
	chosen := make([]int, 0, n)
	for len(chosen) < n {
		if to := m.rng.IntN(len(m.queues)); to != node && !slices.Contains(chosen, to) {
			chosen = append(chosen, to)
		}
	}
	return chosen
}

// queued is how many messages an average node has still to send.
func (m *gossipModel) queued() float64 {
	n := 0
	for _, q := range m.queues {
		n += q.NumQueued()
	}
	return float64(n) / float64(len(m.queues))
}

// nobody waits for an answer.
const nobody = -1

// packet is on its way.
type packet struct {
	at         time.Duration
	to, answer int // nodes
	messages   [][]byte
}

// fifo holds packets in the order they arrive in, which is that they were sent
// in: all take the same time.
type fifo struct {
	packets []packet
	first   int
}

func (f *fifo) push(p packet) { f.packets = append(f.packets, p) }

func (f *fifo) next() time.Duration {
	if f.first == len(f.packets) {
		return never
	}
	return f.packets[f.first].at
}

func (f *fifo) pop() packet {
	p := f.packets[f.first]
	f.packets[f.first] = packet{}
	if f.first++; f.first == len(f.packets) {
		f.packets, f.first = f.packets[:0], 0
	}
	return p
}

const never = time.Duration(1<<63 - 1)

// cycle is a timer in each node, all of one interval, each with a phase of its
// own: so they always go off in the same order.
type cycle struct {
	interval time.Duration
	phases   []time.Duration // ordered
	nodes    []int           // in the order of phases
	turn     int
	start    time.Duration // of this round
}

func newCycle(rng *rand.Rand, nodes int, interval time.Duration) cycle {
	c := cycle{interval: interval, nodes: rng.Perm(nodes)}
	for range nodes {
		c.phases = append(c.phases, time.Duration(rng.Int64N(int64(interval))))
	}
	slices.Sort(c.phases)
	return c
}

func (c *cycle) next() time.Duration { return c.start + c.phases[c.turn] }

func (c *cycle) pop() int {
	node := c.nodes[c.turn]
	if c.turn++; c.turn == len(c.nodes) {
		c.turn, c.start = 0, c.start+c.interval
	}
	return node
}

// benchmarkModel runs a plan. What the processor does here says nothing of
// memberlist, and is not reported.
func benchmarkModel(b *testing.B, a alternative, p spreadPlan) {
	b.Helper()
	for b.Loop() {
		m := newGossipModel(a, p)
		m.run(p.warm)
		before := m.queued()
		m.figures.begin()
		m.run(p.warm + p.window)
		m.figures.end()
		grew := m.queued() - before
		m.run(p.warm + p.window + p.tail)
		m.figures.cpu = 0
		m.figures.report(b)
		b.ReportMetric(grew/p.window.Seconds(), "queue-growth/s")
		b.ReportMetric(a.ceiling(p.nodes), "max-rate")
	}
}
