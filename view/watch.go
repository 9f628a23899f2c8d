package view

import (
	"context"
	"encoding/hex"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"time"

	"grapevine/fleet"
	"grapevine/mesh/replica"
)

const (
	// watchBatch bounds how many changes are told at once.
	watchBatch = 256
	// watchPulse is how often a watcher hears that there is nothing to tell, so
	// that one who is gone is noticed.
	watchPulse = 15 * time.Second
)

// rowKinds are the names of the kinds of rows (wire.Kind), by number.
var rowKinds = [...]string{1: "host", 2: "instance", 3: "image", 4: "hint", 5: "record"}

// errWatchEnded is what the last watchers of a node that ends are told.
var errWatchEnded = &fleet.Error{Code: fleet.CodeNotReady, Detail: "this node is shutting down; watch another one"}

// Watch yields what becomes of the hosts' blocks from the call on, of one host
// where host is its id or name, else of all. The loop blocks until there are
// changes; every 15 seconds without any it gets none. It ends when ctx does,
// or with an error when this node does.
//
// A watcher costs the heads of all blocks and nothing that grows: whoever is
// slower than the changes come gets each host in its newest version, and is
// told how many it missed. Ctx must end, for so long one of
// fleet.MaxWatchers places is taken.
func (v *View) Watch(ctx context.Context, host string) (iter.Seq2[[]fleet.HostChange, error], error) {
	only := fleet.HostID{}
	if host != "" {
		var err error
		if only, err = v.HostNamed(host); err != nil {
			return nil, err
		}
	}
	if v.watchers.Add(1) > fleet.MaxWatchers {
		v.watchers.Add(-1)
		return nil, &fleet.Error{Code: fleet.CodeTooMany, Detail: fmt.Sprintf("%d watch this node already; end one, or watch another node", fleet.MaxWatchers)}
	}
	context.AfterFunc(ctx, func() { v.watchers.Add(-1) })
	w := newWatcher(v.cfg.Source.Replica(), only)
	return func(yield func([]fleet.HostChange, error) bool) { v.tell(ctx, w, yield) }, nil
}

func (v *View) tell(ctx context.Context, w *watcher, yield func([]fleet.HostChange, error) bool) {
	pulse := time.NewTicker(watchPulse)
	defer pulse.Stop()
	for {
		changed := w.blocks.Changed()
		for batch := range slices.Chunk(w.next(), watchBatch) {
			if changes := w.changes(batch); len(changes) > 0 && !yield(changes, nil) {
				return
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-v.ended:
			yield(nil, errWatchEnded)
			return
		case <-changed:
		case <-pulse.C:
			if !yield(nil, nil) {
				return
			}
		}
	}
}

// watcher is how far one reader has come.
type watcher struct {
	blocks *replica.Replica
	only   fleet.HostID // zero for all
	seen   uint64
	heads  map[fleet.HostID]replica.Head
}

func newWatcher(blocks *replica.Replica, only fleet.HostID) *watcher {
	w := &watcher{blocks: blocks, only: only, heads: map[fleet.HostID]replica.Head{}}
	_, w.seen = blocks.ChangedSince(0) // what changes meanwhile is found unchanged later
	for b := range blocks.Blocks() {
		if w.wants(b.HostID()) {
			w.heads[b.HostID()] = toldHead(b)
		}
	}
	return w
}

func (w *watcher) wants(id fleet.HostID) bool { return w.only.IsZero() || id == w.only }

// next returns the hosts that may have changed since the last call.
func (w *watcher) next() []fleet.HostID {
	hosts, last := w.blocks.ChangedSince(w.seen)
	w.seen = last
	return slices.DeleteFunc(hosts, func(id fleet.HostID) bool { return !w.wants(id) })
}

// changes says what became of these hosts since they were last looked at.
func (w *watcher) changes(hosts []fleet.HostID) []fleet.HostChange {
	out := make([]fleet.HostChange, 0, len(hosts))
	for _, id := range hosts {
		b := w.blocks.Block(id)
		before := w.heads[id]
		w.heads[id] = toldHead(b)
		if d, moved := b.Since(before); moved {
			d.Rows = slices.DeleteFunc(d.Rows, func(r replica.Row) bool { return r.Kind == replica.KindText })
			d.Deletions = slices.DeleteFunc(slices.Clone(d.Deletions), func(x replica.Deletion) bool { return x.Kind == replica.KindText })
			out = append(out, describeChange(b, &before, &d))
		}
	}
	return out
}

// toldHead is the block's head with the rows counted of which a watch tells:
// not the pages of the string table.
func toldHead(b *replica.Block) replica.Head {
	head := b.Head()
	head.Count -= b.Pages()
	return head
}

// describeChange says what d does to the version before, which may be zero.
func describeChange(b *replica.Block, before *replica.Head, d *replica.Delta) fleet.HostChange {
	c := fleet.HostChange{Host: b.HostID(), HostName: b.HostName(), Version: b.Version(), Rows: []fleet.RowChange{}}
	head := toldHead(b)
	if before.Epoch > 0 {
		c.Before = before.Version()
	}
	if before.SameLife(&head) && head.Seq > before.Seq {
		c.Missed = head.Seq - before.Seq - 1
	}
	switch {
	case d.Since > 0: // what has changed is known
		c.Deleted = len(d.Deletions)
		c.Added = min(max(head.Count-before.Count+c.Deleted, 0), len(d.Rows))
		c.Changed = len(d.Rows) - c.Added
		c.Rows = nameRows(b, d)
	case before.Epoch == 0: // the host is new
		c.Added = len(d.Rows)
	default:
		c.Whole, c.Changed = true, len(d.Rows) // none where the rows are the same
	}
	return c
}

// nameRows names the rows of a change, the deleted ones last.
func nameRows(b *replica.Block, d *replica.Delta) []fleet.RowChange {
	rows := make([]fleet.RowChange, 0, min(len(d.Rows)+len(d.Deletions), fleet.MaxWatchRows))
	for i := range d.Rows[:min(len(d.Rows), fleet.MaxWatchRows)] {
		rows = append(rows, rowChange(b, d.Rows[i].Key))
	}
	for i := range d.Deletions[:min(len(d.Deletions), fleet.MaxWatchRows-len(rows))] {
		row := rowChange(b, d.Deletions[i].Key)
		row.Deleted = true
		rows = append(rows, row)
	}
	return rows
}

// rowChange names a row by its key, and by its name where the block has it.
func rowChange(b *replica.Block, key replica.Key) fleet.RowChange {
	row := fleet.RowChange{Kind: strconv.Itoa(int(key.Kind)), ID: hex.EncodeToString([]byte(key.ID))}
	if int(key.Kind) < len(rowKinds) && key.Kind > 0 {
		row.Kind = rowKinds[key.Kind]
	}
	id, err := fleet.UUIDFromBytes([]byte(key.ID))
	if err != nil {
		return row
	}
	row.ID = id.String()
	switch row.Kind {
	case "host":
		row.Name = b.HostName()
	case "instance":
		in, _ := b.Instance(id)
		row.Name = in.Name
	}
	return row
}
