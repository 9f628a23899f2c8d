package replica

import (
	"grapevine/mesh/wire"
)

const (
	// batch is how many places of an index are looked at together. The memory
	// that one leads to is in no cache; asked for together, a hundred of them
	// come in the time of ten.
	batch = 128
	// patience is how many rows for each row of the page are looked at by an
	// index before every block is scanned instead, beside one batch. A row of
	// the index costs about fifty rows of a scan.
	patience = 8
)

// walk answers a query from an index. It reports false when too many rows do
// not pass.
func (r *Replica) walk(p *page) bool {
	x, low, last, shift := &r.places, uint64(0), uint64(everything), numberBits+16
	if p.q.Project != "" {
		x, shift = &r.members, numberBits
		low = memberOf(wire.SignProject(p.want), 0, 0)
		last = low | (1<<48 - 1)
	}
	w := &walker{page: p, hosts: r.hosts.all(), shift: shift}
	var c cursor
	x.seek(&c, low|uint64(p.afterFirst)<<shift)
	var space [batch]uint64
	for looked := 0; looked < batch+patience*(p.q.Limit+1); {
		// As many as will be needed if four in five pass.
		most := min(max(p.q.Limit+1-len(p.rows), 12)*5/4, batch)
		keys := c.next(space[:0:most], last)
		if len(keys) == 0 {
			return true
		}
		if w.look(keys) {
			return true
		}
		looked += len(keys)
	}
	return false
}

// walker looks at places of an index in their order.
type walker struct {
	*page
	hosts  []*entry
	shift  int // of the prefix within a place
	blocks [batch]*Block
	at     [batch]int
}

// look takes in the rows of these places that pass. It reports true when the
// page is full.
//
// It goes over the places once for each thing that it reads of them, so that
// the processor asks for many at once.
func (w *walker) look(places []uint64) bool {
	for i, k := range places {
		w.blocks[i] = nil
		if n := int(k & (1<<numberBits - 1)); n < len(w.hosts) {
			w.blocks[i] = w.hosts[n].block.Load()
		}
	}
	for i, k := range places {
		if b := w.blocks[i]; b != nil && b.rows.instances.from < b.rows.instances.to {
			at := min(b.rows.guess(uint32(k>>w.shift)), b.rows.instances.to-1)
			w.warm += uint64(b.rows.prefix(at)) + b.rows.sign(at) + uint64(b.rows.starts()[at*startBytes])
		}
	}
	for i, k := range places {
		if b := w.blocks[i]; b != nil {
			w.at[i] = b.rows.near(uint32(k >> w.shift))
		}
	}
	for i := range places {
		if b := w.blocks[i]; b != nil && w.at[i] < b.rows.instances.to {
			w.warm += b.rows.sign(w.at[i]) + uint64(b.rows.encoded(w.at[i])[0])
			if b.rows.texts.from < b.rows.texts.to {
				w.warm += uint64(b.rows.encoded(b.rows.texts.from)[0])
			}
		}
	}
	for i, k := range places {
		if w.full() {
			return true
		}
		if w.blocks[i] != nil {
			w.take(w.blocks[i], w.at[i], k)
		}
	}
	return false
}

// full reports whether all rows of the page are found and one of the next:
// rows come in the order of their prefixes.
func (w *walker) full() bool {
	if len(w.rows) <= w.q.Limit {
		return false
	}
	last, next := w.rows[w.q.Limit-1], w.rows[len(w.rows)-1]
	return last.Block.rows.prefix(last.at) < next.Block.rows.prefix(next.at)
}

// take takes in the rows of a block that are at this place and pass. A place
// in the index by id says more of it than its prefix does.
func (w *walker) take(b *Block, at int, place uint64) {
	prefix := uint32(place >> w.shift)
	for ; at < b.rows.instances.to && b.rows.prefix(at) == prefix; at++ {
		if !w.passes(&b.rows, at) {
			continue
		}
		if id := b.rows.key(at).ID; w.shift == numberBits || placeOf([]byte(id[:8]), uint16(place)) == place {
			w.rows = append(w.rows, Found{b, at})
		}
	}
}
