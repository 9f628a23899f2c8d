package replica

import (
	"bytes"
	"encoding/binary"
	"slices"
	"sort"

	"grapevine/mesh/wire"
)

// packed is the rows of a block in key order. They are kept as they are sent
// (wire.AppendRow), one behind the other in base; those that changed since base
// was written are in patch, so that a change copies a tenth of the block and not
// all of it. Beside them stand, in one piece of memory, two columns:
//
//	prefix   4 B  the first bytes of the id
//	mark    12 B  in 8 the sign of an instance, by which filters pass over it, 0
//	              where its body cannot be read and for all other rows; in 4
//	              where the row is, the top bit meaning in patch
//
// and in another their hashes, 16 B each, which are the writer's: in an arena
// they change in place, and are no longer those of a block that was superseded.
//
// The garbage collector sees four pieces without pointers for each host,
// however many rows it has.
type packed struct {
	columns     []byte // first what a reader on its way through many blocks looks at
	n           int
	instances   span
	base, patch []byte
	hashes      []byte
	texts       span
	live        int // bytes of the rows in base and patch that are not superseded
	dead        int // bytes of the rows in base that are
	size        int // what the rows count against fleet.MaxBlockBytes
	turned      turnover
	in          homes
}

// turnover is what changed for the indexes from the version that a block was
// made from.
type turnover struct {
	moved    bool    // instances came or went
	fresh    span    // of the instances whose texts may be others
	projects *roster // of all instances of a block that was laid out anew, or nil
}

// span is the rows from one to before another.
type span struct{ from, to int }

func (s span) has(i int) bool { return s.from <= i && i < s.to }

// with returns the span stretched over i.
func (s span) with(i int) span {
	if s.from == s.to {
		return span{i, i + 1}
	}
	return span{min(s.from, i), max(s.to, i+1)}
}

const (
	hashBytes   = len(Hash{})
	prefixBytes = 4
	markBytes   = 12
	columnBytes = prefixBytes + markBytes

	startAt = 8 // in a mark

	inPatch = 1 << 31
)

func (p *packed) prefixes() []byte { return p.columns[:p.n*prefixBytes] }
func (p *packed) marks() []byte    { return p.columns[p.n*prefixBytes:] }

func (p *packed) hash(i int) []byte { return p.hashes[i*hashBytes : (i+1)*hashBytes] }

func (p *packed) mark(i int) []byte {
	at := p.n*prefixBytes + i*markBytes
	return p.columns[at : at+markBytes]
}

func (p *packed) sign(i int) wire.Sign { return binary.LittleEndian.Uint64(p.mark(i)) }

func (p *packed) setSign(i int, s wire.Sign) { binary.LittleEndian.PutUint64(p.mark(i), s) }

func (p *packed) start(i int) uint32 { return binary.LittleEndian.Uint32(p.mark(i)[startAt:]) }

func (p *packed) setStart(i int, start uint32) {
	binary.LittleEndian.PutUint32(p.mark(i)[startAt:], start)
}

func (p *packed) prefix(i int) uint32 {
	return binary.LittleEndian.Uint32(p.columns[i*prefixBytes:])
}

// encoded returns the row's bytes and whatever is behind them.
func (p *packed) encoded(i int) []byte {
	return p.piece(p.start(i))
}

// piece returns what is in base or patch from a start on.
func (p *packed) piece(start uint32) []byte {
	if start&inPatch != 0 {
		return p.patch[start&^inPatch:]
	}
	return p.base[start:]
}

func (p *packed) row(i int) Row {
	r, _ := wire.RowAt(p.encoded(i))
	return r
}

func (p *packed) key(i int) Key { return wire.KeyAt(p.encoded(i)) }

// set writes the columns of row i but its sign.
func (p *packed) set(i int, r *Row, hash *Hash, start uint32) {
	copy(p.hash(i), hash[:])
	binary.LittleEndian.PutUint32(p.prefixes()[i*prefixBytes:], prefixOf(r.ID))
	p.setStart(i, start)
}

// prefixOf returns the first four bytes of an id, as a number that orders as
// they do.
func prefixOf(id string) uint32 {
	var first [prefixBytes]byte
	copy(first[:], id)
	return binary.BigEndian.Uint32(first[:])
}

// find returns where the row with this key is, or would be.
func (p *packed) find(key Key) (int, bool) {
	if key.Kind == wire.KindInstance {
		return p.findInstance(key)
	}
	return sort.Find(p.n, func(i int) int { return key.Compare(p.key(i)) })
}

// findInstance is find for an instance; it reads rows only where prefixes are
// equal.
func (p *packed) findInstance(key Key) (int, bool) {
	return p.instanceAt(p.near(prefixOf(key.ID)), key)
}

// instanceAt is findInstance from the first instance on whose prefix is not
// below the key's.
func (p *packed) instanceAt(i int, key Key) (int, bool) {
	s, first := p.instances, prefixOf(key.ID)
	for ; i < s.to && p.prefix(i) == first; i++ {
		if c := key.Compare(p.key(i)); c <= 0 {
			return i, c == 0
		}
	}
	return i, false
}

// before counts the rows of a span whose prefix is below first.
func (p *packed) before(s span, first uint32) int {
	return sort.Search(s.to-s.from, func(i int) bool { return p.prefix(s.from+i) >= first })
}

// guess returns where among the instances a prefix would be if their ids were
// spread evenly.
func (p *packed) guess(first uint32) int {
	s := p.instances
	return s.from + int(uint64(first)*uint64(s.to-s.from)>>32) // within the span
}

// aside is how far from where a prefix would be it is looked for. With a hundred
// rows it is nearer 98 times of 100.
const aside = 12

// near returns the first instance whose prefix is not below first, as before
// does. Ids are random, mostly: it counts the lower ones around where this one
// would then be. It does so without branches, so that the processor can go on
// to the next search while this one waits for memory.
func (p *packed) near(first uint32) int {
	column := p.around(first)
	s, lo, hi := p.instances, p.first(first), 0
	at := lo
	for hi = lo + len(column)/prefixBytes; len(column) >= prefixBytes; column = column[prefixBytes:] {
		at += int((uint64(binary.LittleEndian.Uint32(column)) - uint64(first)) >> 63) // 1 if it is lower
	}
	if at == lo && lo > s.from && p.prefix(lo-1) >= first || at == hi && hi < s.to && p.prefix(hi) < first {
		return s.from + p.before(s, first)
	}
	return at
}

// first returns the first instance that near looks at.
func (p *packed) first(prefix uint32) int { return max(p.guess(prefix)-aside, p.instances.from) }

// around returns the prefixes that near looks at.
func (p *packed) around(prefix uint32) []byte {
	from, to := p.first(prefix), min(p.guess(prefix)+aside, p.instances.to)
	return p.columns[from*prefixBytes : to*prefixBytes]
}

// Entry implements wire.Table.
func (p *packed) Entry(number uint64) ([]byte, bool) {
	if number == 0 || number > wire.MaxEntries || p.texts.from == p.texts.to {
		return nil, false
	}
	page, place := int(number-1)/wire.PageEntries, int(number-1)%wire.PageEntries // bounded
	i, first := p.texts.from+page, uint32(page)<<16
	if i >= p.texts.to || p.prefix(i) != first {
		i = p.texts.from + p.before(p.texts, first)
	}
	for ; i < p.texts.to && p.prefix(i) == first; i++ {
		r := p.row(i)
		if n, ok := wire.PageOf(r.ID); ok && n == page {
			return wire.PageEntry(r.Body, place)
		}
	}
	return nil, false
}

// entries is a string table unpacked, for whoever looks up many.
type entries [][]byte

// Entry implements wire.Table.
func (e entries) Entry(number uint64) ([]byte, bool) {
	if number-1 >= uint64(len(e)) { // 0 wraps around
		return nil, false
	}
	return e[number-1], e[number-1] != nil
}

// unpackTable returns the table with what Entry returns for every number, in
// the memory of e.
func (p *packed) unpackTable(e entries) entries {
	clear(e[:cap(e)])
	e = e[:0]
	for i := p.texts.from; i < p.texts.to; i++ {
		r := p.row(i)
		page, ok := wire.PageOf(r.ID)
		if !ok || page > p.n+maxTexts/wire.PageEntries {
			continue // a number that no honest origin gives: see Entry
		}
		if n := (page + 1) * wire.PageEntries; n > len(e) {
			e = slices.Grow(e, n-len(e))[:n]
		}
		wire.EachEntry(r.Body, func(place int, entry []byte) { e[page*wire.PageEntries+place] = entry })
	}
	return e
}

// pack lays out rows that are in key order. seq, where it is not 0, stands in
// for those of the rows. The memory is the arena's, or the nursery's for the
// rows themselves.
func pack(rows []Row, hashes []byte, seq uint64, m memory) packed {
	p := packed{n: len(rows)}
	for i := range rows {
		if seq != 0 {
			rows[i].Seq = seq
		}
		p.live += wire.RowLen(&rows[i])
		p.size += rows[i].Size()
	}
	p.columns, p.in.columns = m.take(p.n*columnBytes, m.owner, short)
	p.hashes, p.in.hashes = m.take(p.n*hashBytes, m.owner, lasting)
	p.base, p.in.base = m.base(p.live)
	p.base = p.base[:0]
	for i := range rows {
		r := &rows[i]
		var hash Hash
		if hashes != nil {
			hash = Hash(hashes[i*hashBytes:])
		} else {
			hash = r.Hash()
		}
		p.set(i, r, &hash, uint32(len(p.base))) // bounded by fleet.MaxBlockBytes
		p.base = wire.AppendRow(p.base, r)
	}
	p.instances = p.span(wire.KindInstance)
	p.texts = p.span(wire.KindText)
	in := p.instances
	projects := &roster{of: make([]uint16, in.to-in.from)}
	p.signAll(in.from, in.to, m.scratch, projects)
	p.turned = turnover{true, in, projects}
	return p
}

func (p *packed) span(kind wire.Kind) span {
	from, _ := sort.Find(p.n, func(i int) int { return Key{Kind: kind}.Compare(p.key(i)) })
	to, _ := sort.Find(p.n, func(i int) int { return Key{Kind: kind + 1}.Compare(p.key(i)) })
	return span{from, to}
}

// sameRow reports whether row i of p is row j of q, seq apart.
func (p *packed) sameRow(i int, q *packed, j int) bool { return bytes.Equal(p.hash(i), q.hash(j)) }
