package replica

const (
	// batch is how many places of an index are looked at together. The memory
	// that one leads to is in no cache; asked for together, a hundred of them
	// come in the time of ten.
	batch = 192
	// patience is how many rows for each row of the page are looked at by an
	// index before every block is scanned instead, beside one batch. A row of
	// the index costs about fifty rows of a scan.
	patience = 8
)

// walk answers a query from an index. It reports false when too many rows do
// not pass. While no row comes, goes or changes its project, the index says all
// of a row that its mark does not, and the row itself is not looked at.
func (r *Replica) walk(p *page) bool {
	moves := r.moves.Load()
	if moves%2 == 0 {
		if done := r.walkOnce(p, true); r.moves.Load() == moves {
			return done
		}
		p.reset()
	}
	return r.walkOnce(p, false)
}

func (r *Replica) walkOnce(p *page, exact bool) bool {
	x, low, last, shift := &r.places, uint64(0), uint64(everything), numberBits+16
	if p.q.Project != "" {
		project := r.projects.find(p.q.Project)
		if project == nil {
			return !r.projects.full.Load() // then nobody is in it
		}
		x, shift = &r.members, numberBits
		low = memberOf(project.number, 0, 0)
		last = low | (1<<48 - 1)
	}
	w := &walker{page: p, hosts: r.hosts.all(), shift: shift, exact: exact}
	var c cursor
	x.seek(&c, low|uint64(p.afterFirst)<<shift)
	var space [batch]uint64
	for looked := 0; looked < batch+patience*(p.q.Limit+1); {
		keys := c.next(space[:0:w.need(looked)], last)
		if len(keys) == 0 || w.look(keys) {
			return true
		}
		looked += len(keys)
	}
	return false
}

// need returns how many places to look at next: as many as will fill the page
// if as many pass as before, two in three to begin with.
func (w *walker) need(looked int) int {
	most := w.q.Limit + 1 - len(w.rows)
	if looked > 0 {
		most = most * looked / max(len(w.rows), 1)
	}
	return min(max(most*3/2, 16), batch)
}

// walker looks at places of an index in their order.
type walker struct {
	*page
	hosts  []*entry
	shift  int  // of the prefix within a place
	exact  bool // places are right
	blocks [batch]*Block
	at     [batch]int
	next   [batch][]byte // what is looked at next
}

// nobody stands for a host that came after the reader began.
var nobody Block

// look takes in the rows of these places that pass. It reports true when the
// page is full.
//
// It goes over the places once for each thing that it reads of them, and
// touches all those things in a loop that does nothing else: so the processor
// asks for many at once.
func (w *walker) look(places []uint64) bool {
	w.locate(places)
	first, full := len(w.rows), false
	for i, k := range places {
		if full = w.full(); full {
			break
		}
		w.take(w.blocks[i], w.at[i], k)
	}
	w.warmRows(w.rows[min(first, len(w.rows)):])
	return full
}

// locate finds the blocks of places, and where in them rows may be.
func (w *walker) locate(places []uint64) {
	for i, k := range places {
		w.blocks[i] = &nobody
		if n := int(k & (1<<numberBits - 1)); n < len(w.hosts) {
			w.blocks[i] = w.hosts[n].block.Load()
		}
	}
	touched := 0
	for _, b := range w.blocks[:len(places)] {
		touched += b.rows.n + len(b.rows.patch)
	}
	w.warm += uint64(touched)
	for i, k := range places {
		w.next[i] = w.blocks[i].rows.around(uint32(k >> w.shift))
	}
	w.touch(len(places))
	for i, k := range places {
		rows := &w.blocks[i].rows
		w.at[i] = rows.near(uint32(k >> w.shift))
		w.next[i] = nil
		if w.at[i] < rows.instances.to {
			w.next[i] = rows.mark(w.at[i])
		}
	}
	w.touch(len(places))
}

// touch looks at both ends of what is to be looked at next.
func (w *walker) touch(n int) {
	touched := uint64(0)
	for _, b := range w.next[:n] {
		if len(b) > 0 {
			touched += uint64(b[0]) + uint64(b[len(b)-1])
		}
	}
	w.warm += touched
}

// warmRows looks at both ends of rows, which a reader will look at next.
func (w *walker) warmRows(rows []Found) {
	for i, f := range rows {
		w.next[i] = f.Block.rows.encoded(f.at)[:1]
	}
	w.touch(len(rows))
	for i, f := range rows {
		w.next[i] = f.Row().Body
	}
	w.touch(len(rows))
}

// full reports whether all rows of the page are found and one of the next:
// rows come in the order of their prefixes.
func (w *walker) full() bool {
	if len(w.rows) <= w.q.Limit {
		return false
	}
	return w.rows[w.q.Limit-1].prefix() < w.rows[len(w.rows)-1].prefix()
}

// take takes in the rows of a block that are at this place and pass.
func (w *walker) take(b *Block, at int, place uint64) {
	if w.without(b) {
		return
	}
	rows, prefix := &b.rows, uint32(place>>w.shift)
	end := at
	for end < rows.instances.to && rows.prefix(end) == prefix {
		end++
	}
	sure := w.exact && end == at+1 // there is one row that the place can mean
	by := w.match
	if sure {
		by = w.rest
	}
	if by != nil && at < end {
		by.Begin(rows)
	}
	for ; at < end; at++ {
		if w.passes(rows, at, by) && (sure || w.isAt(rows, at, place)) {
			w.rows = append(w.rows, Found{b, at})
		}
	}
}

// isAt reports whether a row is the one that a place means: one in the index by
// id says more of it than its prefix does.
func (w *walker) isAt(rows *packed, at int, place uint64) bool {
	if w.shift == numberBits {
		return true
	}
	id := rows.key(at).ID
	return placeOf([]byte(id[:8]), uint16(place)) == place
}
