package witnesses

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"time"

	"grapevine/fleet"
)

// world is one history: hosts that can be witnesses, askers, and what is on its
// way between them.
type world struct {
	rng    *rand.Rand
	fault  fault
	blind  bool          // nobody reads what refusals show, as askers of before; that makes more rounds, in which faults are seen
	now    time.Duration // the time that nobody in the world knows
	seq    uint64
	events queue
	nodes  []*node
	askers []*asker
	checks checks
	cut    map[[2]int]bool
	count  counts
}

// counts says what happened, to show that a history tries something.
type counts struct {
	stored, read, gaveUp, journalsLost, crashes, sets, dropped, lessons int
}

type event struct {
	at  time.Duration
	seq uint64
	do  func()
}

type queue []event

func (q queue) Len() int { return len(q) }
func (q queue) Less(i, j int) bool {
	return q[i].at < q[j].at || q[i].at == q[j].at && q[i].seq < q[j].seq
}
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)   { *q = append(*q, x.(event)) }
func (q *queue) Pop() any {
	old := *q
	e := old[len(old)-1]
	*q = old[:len(old)-1]
	return e
}

// epoch is where the clocks of the world begin.
var epoch = time.Unix(1_000_000, 0)

// hosts is how many there are: the five, and three that can take a place.
const (
	hosts  = fleet.Witnesses + 3
	askers = 4
)

func newWorld(seed uint64, f fault) *world {
	w := &world{rng: rand.New(rand.NewPCG(seed, 5)), fault: f, blind: f != believesOne && (f != none || seed%2 == 0), cut: map[[2]int]bool{}}
	w.checks = newChecks(w)
	founding := fleet.WitnessSet{Number: 1}
	for i := range hosts {
		w.nodes = append(w.nodes, newNode(w, i))
		if i < fleet.Witnesses {
			founding.Members = append(founding.Members, w.nodes[i].id)
		}
	}
	for _, n := range w.nodes[:fleet.Witnesses] {
		n.adopt(fleet.WitnessUpdate{Set: founding, Found: true})
	}
	for i := range askers {
		w.askers = append(w.askers, newAsker(w, i, founding))
	}
	return w
}

// after runs do in a while.
func (w *world) after(d time.Duration, do func()) {
	w.seq++
	heap.Push(&w.events, event{w.now + d, w.seq, do})
}

// run lives the world until a time.
func (w *world) run(until time.Duration) error {
	for len(w.events) > 0 && w.events[0].at <= until {
		e := heap.Pop(&w.events).(event)
		w.now = e.at
		e.do()
		if w.checks.broken != nil {
			return fmt.Errorf("after %s: %w", w.now, w.checks.broken)
		}
	}
	w.now = until
	return nil
}

// send delivers after a while, twice, late or never.
func (w *world) send(from, to int, deliver func()) {
	if w.cut[[2]int{from, to}] || w.chance(0.05) {
		return
	}
	for range 1 + w.rng.IntN(10)/9 {
		w.after(w.delay(), func() {
			if !w.cut[[2]int{from, to}] {
				deliver()
			}
		})
	}
}

// delay is short mostly, and may be longer than a grant's life.
func (w *world) delay() time.Duration {
	switch r := w.rng.Float64(); {
	case r < 0.9:
		return w.upTo(20 * time.Millisecond)
	case r < 0.97:
		return w.upTo(4 * time.Second)
	default:
		return w.upTo(3 * fleet.GrantLife)
	}
}

func (w *world) upTo(d time.Duration) time.Duration { return time.Duration(w.rng.Int64N(int64(d))) }
func (w *world) chance(p float64) bool              { return w.rng.Float64() < p }

func (w *world) uuid() fleet.UUID {
	var b [16]byte
	for i := range b {
		b[i] = byte(w.rng.Uint32())
	}
	return fleet.NewUUIDv4(b)
}

// clock is one machine's own: it goes evenly, at its own rate.
type clock struct {
	w    *world
	rate float64
}

func (w *world) clock() clock { return clock{w, 0.6 + w.rng.Float64()} }

func (c clock) now() time.Time { return epoch.Add(time.Duration(float64(c.w.now) * c.rate)) }

// after runs do when the clock has gone on by d.
func (c clock) after(d time.Duration, do func()) {
	c.w.after(time.Duration(float64(d)/c.rate)+1, do)
}
