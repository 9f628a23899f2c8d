package replica

import (
	"encoding/binary"
	"slices"

	"grapevine/fleet"
	"grapevine/mesh/wire"
)

// Query asks for instances in the order of their ids, then of their hosts.
type Query struct {
	// Project, Name, Power and Labels are what the instances must say of
	// themselves; a zero one asks for nothing.
	Project string
	Name    string
	Power   fleet.Power
	Labels  map[string]string
	// Host asks for those of one host; zero for all.
	Host fleet.HostID
	// Without are hosts whose instances are left out.
	Without map[fleet.HostID]bool
	// After is the id of the last instance of the page before; zero to begin.
	After fleet.InstanceID
	Limit int // rows, at least 1
}

// Page returns the rows that the query asks for, not decoded yet, and whether
// more follow. The rows of one id stay together: a page with a twin at its end
// is longer than the limit, because the next begins after an id. Rows that
// cannot be decoded are left out.
//
// It reads what is held while it goes on: a host that changes meanwhile is
// shown before or after the change. It takes no lock and never waits. Rows of a
// project, and rows that most pass, come from an index; for a filter that few
// pass a column of every block is gone through.
func (r *Replica) Page(q Query) (rows []Found, more bool) {
	p := newPage(&q)
	if !q.Host.IsZero() {
		if b := r.Block(q.Host); b != nil {
			p.scan(b)
		}
		return p.finish()
	}
	if !r.walk(p) {
		p.reset()
		r.scanAll(p)
	}
	return p.finish()
}

// noBound is the highest prefix.
const noBound = 1<<32 - 1

// page is a query on its way to an answer.
type page struct {
	q          *Query
	want, mask wire.Sign
	after      string // raw id, or empty
	afterFirst uint32 // its prefix
	// match is what signs do not tell, rest what is left of it for a row that
	// the index says is of the project; nil where that is nothing.
	match, rest *wire.Matcher

	rows  []Found
	most  int    // rows before it is worth while to leave out some
	bound uint32 // no row with a higher prefix is of this page
	warm  uint64 // keeps the reads that only warm the cache
}

func newPage(q *Query) *page {
	p := &page{q: q}
	filter := wire.Filter{Project: q.Project, Name: q.Name, Power: q.Power, Labels: q.Labels}
	p.want, p.mask = filter.Sign()
	if filter.SignTells() {
		filter.Power = ""
	}
	p.match = matcher(filter)
	filter.Project = ""
	p.rest = matcher(filter)
	if !q.After.IsZero() {
		p.after = string(q.After[:])
		p.afterFirst = prefixOf(p.after)
	}
	p.reset()
	p.rows = make([]Found, 0, min(q.Limit+1, 128))
	return p
}

func matcher(f wire.Filter) *wire.Matcher {
	if f.IsZero() {
		return nil
	}
	return wire.NewMatcher(f)
}

// without reports whether the block's host is left out.
func (p *page) without(b *Block) bool { return len(p.q.Without) > 0 && p.q.Without[b.head.Host] }

func (p *page) reset() { p.rows, p.most, p.bound = p.rows[:0], 4*(p.q.Limit+1), noBound }

// follows reports whether row i of a block comes after the page before.
func (p *page) follows(rows *packed, i int) bool {
	if p.after == "" {
		return true
	}
	prefix := rows.prefix(i)
	return prefix > p.afterFirst || prefix == p.afterFirst && rows.key(i).ID > p.after
}

// passes reports whether row i of a block, the one at which by began, is one of
// those asked for.
func (p *page) passes(rows *packed, i int, by *wire.Matcher) bool {
	sign := rows.sign(i)
	return sign&p.mask == p.want && sign != 0 && p.follows(rows, i) && (by == nil || by.Match(rows.row(i).Body))
}

// scan takes in the rows of one block that pass, up to the bound. Those that the
// sign does not tell are touched some at a time before they are read.
func (p *page) scan(b *Block) {
	if p.without(b) {
		return
	}
	rows := &b.rows
	span := rows.instances
	if p.afterFirst > 0 {
		span.from += rows.before(span, p.afterFirst)
	}
	if p.bound < noBound {
		span.to = span.from + rows.before(span, p.bound+1)
	}
	var space [16]int
	likely, begun := space[:0], false
	marks := rows.marks()[span.from*markBytes : span.to*markBytes]
	for i := span.from; len(marks) >= markBytes; i++ {
		if binary.LittleEndian.Uint64(marks)&p.mask == p.want {
			if !begun && p.match != nil {
				p.match.Begin(rows)
				begun = true
			}
			if likely = append(likely, i); len(likely) == cap(likely) {
				p.compare(b, likely)
				likely = likely[:0]
			}
		}
		marks = marks[markBytes:]
	}
	p.compare(b, likely)
}

// compare takes in those of the rows that pass.
func (p *page) compare(b *Block, likely []int) {
	if p.match != nil {
		for _, i := range likely {
			p.warm += uint64(touch(b.rows.encoded(i))) // not negative
		}
	}
	for _, i := range likely {
		if p.passes(&b.rows, i, p.match) {
			p.add(b, i)
		}
	}
}

// add takes in a row, and draws the bound tighter now and then.
func (p *page) add(b *Block, i int) {
	p.rows = append(p.rows, Found{b, i})
	if len(p.rows) >= p.most {
		p.cut()
		p.most = max(4*(p.q.Limit+1), 2*len(p.rows))
	}
}

// cut puts the rows in order and keeps those of this page and the first of the
// next. It returns where the page ends.
func (p *page) cut() int {
	slices.SortFunc(p.rows, Found.compare)
	end := min(p.q.Limit, len(p.rows))
	for end > 0 && end < len(p.rows) && p.rows[end].sameID(p.rows[end-1]) {
		end++
	}
	if end < len(p.rows) {
		p.bound = p.rows[end].prefix()
		p.rows = p.rows[:end+1]
	}
	return end
}

// finish returns the page's rows in order.
func (p *page) finish() (rows []Found, more bool) {
	end := p.cut()
	return p.rows[:end:end], end < len(p.rows)
}

// scanAll scans every block. It looks at a few of them at once before it scans
// them, so that their memory is on its way together.
func (r *Replica) scanAll(p *page) {
	var blocks [16]*Block
	for hosts := r.hosts.all(); len(hosts) > 0; {
		n := min(len(hosts), len(blocks))
		for i, e := range hosts[:n] {
			blocks[i] = e.block.Load()
		}
		for _, b := range blocks[:n] {
			p.warm += uint64(b.rows.n)
		}
		for _, b := range blocks[:n] {
			for i := b.rows.instances.from; i < b.rows.instances.to; i += 16 {
				p.warm += b.rows.sign(i)
			}
		}
		for _, b := range blocks[:n] {
			p.scan(b)
		}
		hosts = hosts[n:]
	}
}
