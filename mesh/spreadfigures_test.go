package mesh

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"
)

// spreadBytes is the size of an update's payload: random, so that nothing
// compresses it, apart from the update's number in its first four bytes.
const spreadBytes = 200

// spreadUpdate is one change that one node makes known to all others.
type spreadUpdate struct {
	id      int
	node    int           // its origin
	nth     int           // which of its origin's updates it is, from 1
	at      time.Duration // when it is published, since the run began
	payload []byte
}

// spreadPlan says how fast updates come and which of them are measured: those
// between warm and warm+window. Updates go on for tail after that, so that the
// window's end is as busy as its middle.
type spreadPlan struct {
	seed               uint64
	nodes              int
	rate               float64 // updates a second, by all nodes together
	warm, window, tail time.Duration
	shards             int // of a simulated fleet
	signed             bool
}

// updates draws what happens: the same for the same plan, ordered by time, at
// moments and from nodes that have nothing to do with one another.
func (p spreadPlan) updates() []spreadUpdate {
	rng := rand.New(rand.NewPCG(p.seed, uint64(p.nodes)))
	chacha := rand.NewChaCha8([32]byte{byte(p.seed)})
	all := make([]spreadUpdate, int(p.rate*(p.warm+p.window+p.tail).Seconds()))
	moments := make([]time.Duration, len(all))
	for i := range moments {
		moments[i] = time.Duration(rng.Int64N(int64(p.warm + p.window + p.tail)))
	}
	slices.Sort(moments)
	nth := make([]int, p.nodes)
	for i := range all {
		node := rng.IntN(p.nodes)
		nth[node]++
		all[i] = spreadUpdate{id: i, node: node, nth: nth[node], at: moments[i], payload: make([]byte, spreadBytes)}
		_, _ = chacha.Read(all[i].payload) // never fails
		binary.BigEndian.PutUint32(all[i].payload, uint32(i))
	}
	return all
}

// spreadID is the number of the update that a payload belongs to.
func spreadID(payload []byte) int { return int(binary.BigEndian.Uint32(payload)) }

// spreadFigures collects what becomes of the updates of a plan, the same way
// whatever carries them. Moments are durations since the run began, and must
// not go back. Latency is that of updates published in the window, however
// late they arrive; bytes, copies, processor time and deliveries are those
// between begin and end. All methods may be called by anyone.
type spreadFigures struct {
	mu      sync.Mutex
	plan    spreadPlan
	updates []spreadUpdate
	byNode  [][]int32       // the updates of each node, in order
	has     []uint64        // bit update*nodes+node
	count   []int32         // nodes that have the update, its origin included
	since   []time.Duration // when each was published
	t50     []time.Duration // 0 until so many have it
	t99     []time.Duration
	t100    []time.Duration
	missing int // measured updates that some node lacks

	measuring  bool
	cpu        time.Duration
	deliveries int64
	copies     int64
	bytes      int64
}

func newSpreadFigures(p spreadPlan, updates []spreadUpdate) *spreadFigures {
	n := len(updates)
	f := &spreadFigures{
		plan: p, updates: updates, byNode: make([][]int32, p.nodes),
		has: make([]uint64, (n*p.nodes+63)/64), count: make([]int32, n), since: make([]time.Duration, n),
		t50: make([]time.Duration, n), t99: make([]time.Duration, n), t100: make([]time.Duration, n),
	}
	for i := range updates {
		u := &updates[i]
		f.byNode[u.node] = append(f.byNode[u.node], int32(u.id))
		if f.measured(u.id) {
			f.missing++
		}
	}
	return f
}

// measured reports whether an update falls into the window.
func (f *spreadFigures) measured(id int) bool {
	at := f.updates[id].at
	return at >= f.plan.warm && at < f.plan.warm+f.plan.window
}

// begin starts the counts, with the window.
func (f *spreadFigures) begin() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.measuring, f.cpu = true, -processorTime()
}

// end stops them.
func (f *spreadFigures) end() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.measuring = false
	f.cpu += processorTime()
}

// published says that the origin of an update has it.
func (f *spreadFigures) published(now time.Duration, id int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.since[id] = now
	f.holds(now, f.updates[id].node, id)
}

// delivered says that a node has an update, and reports whether it is news.
func (f *spreadFigures) delivered(now time.Duration, node, id int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.delivery(now, node, id)
}

// deliveredUpTo says that a node has the origin's nth update or what came of
// it together with later ones, and so all before it.
func (f *spreadFigures) deliveredUpTo(now time.Duration, node, origin, nth int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := nth - 1; i >= 0 && f.delivery(now, node, int(f.byNode[origin][i])); i-- {
	}
}

func (f *spreadFigures) delivery(now time.Duration, node, id int) bool {
	news := f.holds(now, node, id)
	if news && f.measuring {
		f.deliveries++
	}
	return news
}

// holds marks an update as held by a node and reports whether that is news.
func (f *spreadFigures) holds(now time.Duration, node, id int) bool {
	bit := id*f.plan.nodes + node
	if f.has[bit/64]&(1<<(bit%64)) != 0 {
		return false
	}
	f.has[bit/64] |= 1 << (bit % 64)
	f.count[id]++
	n, all, took := int(f.count[id]), f.plan.nodes, now-f.since[id]
	if n == share(all, 50) {
		f.t50[id] = took
	}
	if n == share(all, 99) {
		f.t99[id] = took
	}
	if n == all {
		f.t100[id] = took
		if f.measured(id) {
			f.missing--
		}
	}
	return true
}

// share is how many of all are so many percent, rounded up.
func share(all, percent int) int { return (all*percent + 99) / 100 }

// copied counts payloads that arrived, wanted or not.
func (f *spreadFigures) copied(payloads int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.measuring {
		f.copies += int64(payloads)
	}
}

// wire counts bytes that a node handed to its transport.
func (f *spreadFigures) wire(bytes int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.measuring {
		f.bytes += int64(bytes)
	}
}

// complete reports whether every measured update is everywhere.
func (f *spreadFigures) complete() bool { return f.left() == 0 }

// left counts the measured updates that are not everywhere yet.
func (f *spreadFigures) left() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.missing
}

// report gives the figures to the benchmark's line: medians over the measured
// updates; what did not get that far within the run counts as later than all
// others, and reached-% says how many updates got everywhere.
func (f *spreadFigures) report(b *testing.B) {
	b.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.reportLatency(b)
	if d := float64(f.deliveries); d > 0 {
		if f.copies > 0 {
			b.ReportMetric(float64(f.copies)/d, "copies/node")
		}
		b.ReportMetric(float64(f.bytes)/d/spreadBytes, "wire-x")
		if f.cpu > 0 {
			b.ReportMetric(float64(f.cpu.Nanoseconds())/1e3/d, "cpu-us/delivery")
		}
	}
	b.ReportMetric(0, "ns/op") // says nothing here: time is virtual, or the machine shared
}

func (f *spreadFigures) reportLatency(b *testing.B) {
	b.Helper()
	all, reached := 0, 0
	for id := range f.updates {
		if f.measured(id) {
			all++
		}
		if f.measured(id) && f.t100[id] > 0 {
			reached++
		}
	}
	for unit, took := range map[string][]time.Duration{"t50-ms": f.t50, "t99-ms": f.t99, "t100-ms": f.t100} {
		if got := f.taken(took); 2*len(got) > all {
			b.ReportMetric(inMilliseconds(got[(all-1)/2]), unit)
		}
	}
	if worst := f.taken(f.t100); reached == all && all > 0 {
		b.ReportMetric(inMilliseconds(worst[all-1]), "t100-max-ms")
	}
	b.ReportMetric(100*float64(reached)/float64(max(all, 1)), "reached-%")
}

// taken returns, sorted, the times of those measured updates that got there.
func (f *spreadFigures) taken(times []time.Duration) []time.Duration {
	var got []time.Duration
	for id, t := range times {
		if f.measured(id) && t > 0 {
			got = append(got, t)
		}
	}
	slices.Sort(got)
	return got
}

func inMilliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// processorTime is what this process has used, user and system, garbage
// collection included.
func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err) // no Unix refuses that
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func TestSpreadFiguresCountWhatArrives(t *testing.T) {
	p := spreadPlan{seed: 1, nodes: 4, rate: 2, window: time.Second}
	updates := p.updates()
	f := newSpreadFigures(p, updates)
	f.begin()
	for _, u := range updates {
		f.published(u.at, u.id)
	}
	end := updates[1].at
	for node := range p.nodes {
		f.delivered(end+time.Duration(node+1), node, 0)
		f.deliveredUpTo(end+time.Duration(node+1), node, updates[1].node, updates[1].nth)
	}
	if f.delivered(end+9, 3, 0) {
		t.Error("an update was news to a node that had it")
	}
	if !f.complete() || f.deliveries != 6 {
		t.Errorf("complete %v with %d deliveries, want 6", f.complete(), f.deliveries)
	}
	last := time.Duration(4)
	if updates[1].node == 3 {
		last = 3 // the last node had it from the start
	}
	if f.t100[1] != last || f.t50[1] == 0 || f.t50[1] > f.t99[1] {
		t.Errorf("half had it after %d, 99 %% after %d, all after %d, want %d", f.t50[1], f.t99[1], f.t100[1], last)
	}
}
