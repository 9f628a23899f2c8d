package view

import (
	"cmp"
	"container/heap"
	"slices"
	"strings"

	"grapevine/fleet"
	"grapevine/mesh/replica"
)

// instanceKind is the kind of the rows that Block.Instance reads, of which the
// key is the instance's id (wire.KindInstance).
const instanceKind = 2

// walk goes through the instances of several blocks in the order of their ids,
// then of their hosts, without decoding any.
type walk struct {
	after   string // raw id; rows up to and with it are passed over
	started bool
	cursors cursors
}

// cursor is how far the walk has come in one block; rows are never empty.
type cursor struct {
	block *replica.Block
	rows  []replica.Row
}

func newWalk(after fleet.InstanceID) *walk {
	w := &walk{}
	if !after.IsZero() {
		w.after = string(after[:])
	}
	return w
}

// add puts a block into the walk, before its first step.
func (w *walk) add(b *replica.Block) {
	rows := b.Rows()
	from, _ := slices.BinarySearchFunc(rows, w.after, func(r replica.Row, after string) int {
		c := cmp.Or(cmp.Compare(int(r.Kind), instanceKind), strings.Compare(r.ID, after))
		if c == 0 && after != "" {
			return -1 // the marker's own row was on the page before
		}
		return c
	})
	to, _ := slices.BinarySearchFunc(rows, instanceKind+1, func(r replica.Row, kind int) int { return cmp.Compare(int(r.Kind), kind) })
	if from < to {
		w.cursors = append(w.cursors, cursor{block: b, rows: rows[from:to]})
	}
}

// next returns the next instance's block and id, and false at the end.
func (w *walk) next() (*replica.Block, fleet.InstanceID, bool) {
	if !w.started {
		heap.Init(&w.cursors)
		w.started = true
	}
	for len(w.cursors) > 0 {
		c := &w.cursors[0]
		b := c.block
		id, err := fleet.UUIDFromBytes([]byte(c.rows[0].ID))
		if c.rows = c.rows[1:]; len(c.rows) == 0 {
			heap.Pop(&w.cursors)
		} else {
			heap.Fix(&w.cursors, 0)
		}
		if err == nil {
			return b, id, true
		}
	}
	return nil, fleet.InstanceID{}, false
}

// cursors is a heap: the block with the lowest next id first.
type cursors []cursor

// Len implements heap.Interface.
func (c cursors) Len() int { return len(c) }

// Less implements heap.Interface.
func (c cursors) Less(i, j int) bool {
	a, b := c[i].rows[0].ID, c[j].rows[0].ID
	if a != b {
		return a < b
	}
	return c[i].block.HostID().Compare(c[j].block.HostID()) < 0
}

// Swap implements heap.Interface.
func (c cursors) Swap(i, j int) { c[i], c[j] = c[j], c[i] }

// Push implements heap.Interface.
func (c *cursors) Push(x any) { *c = append(*c, x.(cursor)) }

// Pop implements heap.Interface.
func (c *cursors) Pop() any {
	last := (*c)[len(*c)-1]
	*c = (*c)[:len(*c)-1]
	return last
}
