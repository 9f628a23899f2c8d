package witnesses

import (
	"bytes"
	"maps"
	"slices"
	"time"

	"grapevine/agent/witness"
	"grapevine/fleet"
)

// node is a host that can be a witness.
type node struct {
	w     *world
	index int
	id    fleet.HostID
	clock clock
	up    bool
	life  int // starts; what an earlier life had under way is over

	// The journal.
	office  witness.Office
	entries map[fleet.UUID]fleet.GrantEntry

	// What a crash ends.
	watch  *witness.Watch
	lesson *witness.Lesson
	undo   []func() // writes that are not on the disk yet, where a fault has it so
}

func newNode(w *world, index int) *node {
	n := &node{w: w, index: index, id: fleet.UUID{byte(index + 1)}, clock: w.clock()}
	n.wipe()
	n.start()
	return n
}

func (n *node) wipe() {
	n.office, n.entries = witness.Office{Self: n.id}, map[fleet.UUID]fleet.GrantEntry{}
}

func (n *node) start() {
	n.up, n.life, n.undo = true, n.life+1, nil
	n.watch = witness.NewWatch()
	n.learn()
	n.sweepOften()
}

// crash ends the node's life, and maybe its disk's.
func (n *node) crash(journalLost bool) {
	n.up, n.life = false, n.life+1
	n.w.count.crashes++
	for _, undo := range slices.Backward(n.undo) {
		undo()
	}
	if journalLost {
		n.w.count.journalsLost++
		n.wipe()
	}
}

func (n *node) adopt(update fleet.WitnessUpdate) {
	ready := n.office.Ready
	if !n.office.Adopt(update) {
		return
	}
	if n.w.fault == returnsUntaught {
		n.office.Ready = n.office.Ready || ready && update.Set.Has(n.id)
	}
	n.learn()
}

// learn begins a lesson, where the node has to.
func (n *node) learn() {
	n.lesson = nil
	if n.office.Ready || !n.office.Set.Has(n.id) {
		return
	}
	wait := fleet.GrantLife
	switch n.w.fault {
	case newJournalGrants:
		n.office.Ready = true
		return
	case newcomerGrants:
		if n.office.Set.Changing() {
			n.office.Ready = true
			return
		}
	case learnsAtOnce:
		wait = 0
	default:
	}
	lesson := witness.NewLesson(&n.office)
	n.lesson = lesson
	n.clock.after(wait, func() { n.study(lesson, n.life) })
}

// study asks those that are still to be read, again and again.
func (n *node) study(lesson *witness.Lesson, life int) {
	if n.lesson != lesson || n.life != life {
		return
	}
	if lesson.Over() || n.w.fault == learnsNothing {
		n.office.Ready, n.lesson = true, nil
		n.w.count.lessons++
		return
	}
	for _, id := range lesson.From() {
		n.page(lesson, life, n.w.node(id), fleet.UUID{})
	}
	n.clock.after(5*time.Second, func() { n.study(lesson, life) })
}

// page asks for what a source has after a key.
func (n *node) page(lesson *witness.Lesson, life int, from *node, after fleet.UUID) {
	number := n.office.Set.Number
	n.w.send(n.index, from.index, func() {
		page, ok := from.give(after)
		if !ok || page.Number != number {
			return
		}
		n.w.send(from.index, n.index, func() { n.merge(lesson, life, from, page) })
	})
}

// give is a page of two entries.
func (n *node) give(after fleet.UUID) (fleet.GrantPage, bool) {
	if !n.up || !n.office.Grants() {
		return fleet.GrantPage{}, false
	}
	page := fleet.GrantPage{Number: n.office.Set.Number, Floor: n.office.Floor}
	for _, key := range n.keys() {
		if key.Compare(after) <= 0 {
			continue
		}
		if len(page.Entries) == 2 {
			page.More = true
			break
		}
		page.Entries = append(page.Entries, n.entries[key])
	}
	return page, true
}

func (n *node) keys() []fleet.UUID {
	return slices.SortedFunc(maps.Keys(n.entries), func(a, b fleet.UUID) int { return bytes.Compare(a[:], b[:]) })
}

func (n *node) merge(lesson *witness.Lesson, life int, from *node, page fleet.GrantPage) {
	if !n.up || n.lesson != lesson || n.life != life {
		return
	}
	n.office.Floor = max(n.office.Floor, page.Floor)
	for _, e := range page.Entries {
		if next, more := witness.Merge(n.entries[e.Key], e); more {
			n.entries[e.Key] = next
		}
	}
	switch {
	case page.More:
		n.page(lesson, life, from, page.Entries[len(page.Entries)-1].Key)
	default:
		lesson.Read(from.id)
		if n.w.fault == learnsFromOne {
			for _, id := range lesson.From() {
				lesson.Read(id)
			}
		}
	}
}

// answer judges a question; false is silence.
func (n *node) answer(ask fleet.GrantAsk) (fleet.GrantAnswer, bool) {
	if !n.up {
		return fleet.GrantAnswer{}, false
	}
	if !n.office.Grants() {
		set := n.office.Set
		return fleet.GrantAnswer{Set: &set}, ask.Number != set.Number
	}
	held := n.entries[ask.Key]
	held, ask = n.w.fault.before(n, held, ask)
	next, answer, write := n.office.Judge(held, ask)
	if write {
		n.write(next)
	}
	return answer, true
}

func (n *node) write(next fleet.GrantEntry) {
	was, had := n.entries[next.Key]
	n.entries[next.Key] = next
	if n.w.fault != answersBeforeWriting {
		return
	}
	n.undo = append(n.undo, func() {
		if delete(n.entries, next.Key); had {
			n.entries[next.Key] = was
		}
	})
	n.undo = n.undo[max(0, len(n.undo)-3):]
}

// sweepOften drops what is long gone.
func (n *node) sweepOften() {
	life := n.life
	n.clock.after(30*time.Second, func() {
		if n.life == life {
			n.sweep()
			n.sweepOften()
		}
	})
}

func (n *node) sweep() {
	now := n.clock.now()
	for _, key := range n.keys() {
		e := n.entries[key]
		there, heard := false, !n.w.chance(0.01)
		if e.Grant != nil {
			there = n.w.checks.there[e.Grant.Instance]
		}
		if !n.watch.Look(e, now, there, heard) {
			continue
		}
		n.w.count.dropped++
		n.office.Drop(e)
		delete(n.entries, key)
		n.watch.Forget(key)
	}
}

func (w *world) node(id fleet.HostID) *node { return w.nodes[int(id[0])-1] }
