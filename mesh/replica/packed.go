package replica

import (
	"bytes"
	"encoding/binary"
	"slices"
	"sort"

	"grapevine/fleet"
	"grapevine/mesh/wire"
)

// packed is the rows of a block in key order. They are kept as they are sent
// (wire.AppendRow), one behind the other in base; those that changed since base
// was written are in patch, so that a change copies a tenth of the block and not
// all of it. Beside them stand four columns of numbers, in one piece of memory:
//
//	hash    16 B  of the row
//	sign     8 B  of an instance, by which filters pass over it; 0 where its
//	              body cannot be read, and of all other rows
//	prefix   4 B  the first bytes of the id
//	start    4 B  where the row is; the top bit means in patch
//
// The garbage collector sees three pieces without pointers for each host,
// however many rows it has.
type packed struct {
	n           int
	columns     []byte
	base, patch []byte
	live        int // bytes of the rows in base and patch that are not superseded
	size        int // what the rows count against fleet.MaxBlockBytes

	instances, texts span
}

// span is the rows from one to before another.
type span struct{ from, to int }

const (
	hashBytes   = len(Hash{})
	signBytes   = 8
	prefixBytes = 4
	startBytes  = 4
	columnBytes = hashBytes + signBytes + prefixBytes + startBytes

	inPatch = 1 << 31
)

func (p *packed) hashes() []byte { return p.columns[:p.n*hashBytes] }
func (p *packed) signs() []byte  { return p.columns[p.n*hashBytes : p.n*(hashBytes+signBytes)] }
func (p *packed) prefixes() []byte {
	return p.columns[p.n*(hashBytes+signBytes) : p.n*(columnBytes-startBytes)]
}
func (p *packed) starts() []byte { return p.columns[p.n*(columnBytes-startBytes):] }

func (p *packed) hash(i int) []byte { return p.columns[i*hashBytes : (i+1)*hashBytes] }

func (p *packed) sign(i int) wire.Sign { return binary.LittleEndian.Uint64(p.signs()[i*signBytes:]) }

func (p *packed) setSign(i int, s wire.Sign) {
	binary.LittleEndian.PutUint64(p.signs()[i*signBytes:], s)
}

func (p *packed) prefix(i int) uint32 {
	return binary.LittleEndian.Uint32(p.prefixes()[i*prefixBytes:])
}

// encoded returns the row's bytes and whatever is behind them.
func (p *packed) encoded(i int) []byte {
	at := binary.LittleEndian.Uint32(p.starts()[i*startBytes:])
	if at&inPatch != 0 {
		return p.patch[at&^inPatch:]
	}
	return p.base[at:]
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
	binary.LittleEndian.PutUint32(p.starts()[i*startBytes:], start)
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
	s := p.instances
	first := prefixOf(key.ID)
	i := p.near(first)
	for ; i < s.to && p.prefix(i) == first; i++ {
		if c := key.Compare(p.key(i)); c <= 0 {
			return i, c == 0
		}
	}
	return i, false
}

// before counts the rows of a span whose prefix is below first.
func (p *packed) before(s span, first uint32) int {
	column := p.prefixes()[s.from*prefixBytes : s.to*prefixBytes]
	lo, hi := 0, s.to-s.from
	for lo < hi {
		mid := int(uint(lo+hi) / 2) // no overflow
		if binary.LittleEndian.Uint32(column[mid*prefixBytes:]) < first {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

// guess returns where among the instances a prefix would be if their ids were
// spread evenly.
func (p *packed) guess(first uint32) int {
	s := p.instances
	return s.from + int(uint64(first)*uint64(s.to-s.from)>>32) // within the span
}

// near returns the first instance whose prefix is not below first, as before
// does. Ids are random, mostly: it begins where this one would then be, and
// gives up after a few steps.
func (p *packed) near(first uint32) int {
	s := p.instances
	i := p.guess(first)
	for range 12 {
		switch {
		case i < s.to && p.prefix(i) < first:
			i++
		case i > s.from && p.prefix(i-1) >= first:
			i--
		default:
			return i
		}
	}
	return s.from + p.before(s, first)
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

// unpackTable returns the table with what Entry returns for every number.
func (p *packed) unpackTable() entries {
	var e entries
	for i := p.texts.from; i < p.texts.to; i++ {
		r := p.row(i)
		page, ok := wire.PageOf(r.ID)
		if !ok || page > p.n+maxTexts/wire.PageEntries {
			continue // a number that no honest origin gives: see Entry
		}
		for len(e) < (page+1)*wire.PageEntries {
			e = append(e, nil)
		}
		wire.EachEntry(r.Body, func(place int, entry []byte) { e[page*wire.PageEntries+place] = entry })
	}
	return e
}

// pack lays out rows that are in key order. seq, where it is not 0, stands in
// for those of the rows.
func pack(rows []Row, hashes []byte, seq uint64) packed {
	p := packed{n: len(rows), columns: make([]byte, len(rows)*columnBytes)}
	for i := range rows {
		if seq != 0 {
			rows[i].Seq = seq
		}
		p.live += wire.RowLen(&rows[i])
		p.size += rows[i].Size()
	}
	w := newWriter(p.live)
	for i := range rows {
		r := &rows[i]
		var hash Hash
		if hashes != nil {
			hash = Hash(hashes[i*hashBytes:])
		} else {
			hash = r.Hash()
		}
		p.set(i, r, &hash, w.row(r))
	}
	p.base, p.patch = w.base, w.patch
	p.instances = p.span(wire.KindInstance)
	p.texts = p.span(wire.KindText)
	p.resign(0, p.n)
	return p
}

// writer lays rows out in a base and, what does not fit, in a patch.
type writer struct{ base, patch []byte }

// newWriter returns a writer for rows of this many bytes. The runtime rounds
// memory up to one of some sixty sizes, at 15 KiB by up to 2 KiB: so the base
// takes the size below, and the patch the rest.
func newWriter(bytes int) writer {
	base := bytes
	if i, exact := slices.BinarySearch(sizes, bytes); !exact && i > 0 && i < len(sizes) {
		base = sizes[i-1]
	}
	return writer{base: make([]byte, 0, base), patch: make([]byte, 0, bytes-base)}
}

// sizes are those in which Go hands out memory, from 2 KiB on; above 32 KiB it
// is pages of 8 KiB. Were they others, memory would be lost and nothing else.
var sizes = []int{
	2048, 2304, 2688, 3072, 3200, 3456, 4096, 4864, 5376, 6144, 6528, 6784, 6912, 8192, 9472, 9728, 10240, 10880, 12288, 13568, 14336,
	16384, 18432, 19072, 20480, 21760, 24576, 27264, 28672, 32768, 40960, 49152, 57344, 65536,
}

// row writes a row and returns where it starts.
func (w *writer) row(r *Row) uint32 {
	at := uint32(len(w.base)) // bounded by fleet.MaxBlockBytes
	if len(w.base)+wire.RowLen(r) <= cap(w.base) {
		w.base = wire.AppendRow(w.base, r)
		return at
	}
	at = uint32(len(w.patch)) | inPatch
	w.patch = wire.AppendRow(w.patch, r)
	return at
}

func (p *packed) span(kind wire.Kind) span {
	from, _ := sort.Find(p.n, func(i int) int { return Key{Kind: kind}.Compare(p.key(i)) })
	to, _ := sort.Find(p.n, func(i int) int { return Key{Kind: kind + 1}.Compare(p.key(i)) })
	return span{from, to}
}

// resign works out the signs of the instances among the rows from one to
// before another.
func (p *packed) resign(from, to int) {
	from, to = max(from, p.instances.from), min(to, p.instances.to)
	if to-from > 8 {
		p.resignWith(from, to, p.unpackTable())
		return
	}
	p.resignWith(from, to, p)
}

func (p *packed) resignWith(from, to int, table wire.Table) {
	for i := from; i < to; i++ {
		r := p.row(i)
		sign, ok := wire.SignOf(r.Body, table)
		if !ok || len(r.ID) != len(fleet.UUID{}) {
			sign = 0
		}
		p.setSign(i, sign)
	}
}

// unsigned reports whether an instance cannot be read.
func (p *packed) unsigned() bool {
	for i := p.instances.from; i < p.instances.to; i++ {
		if p.sign(i) == 0 {
			return true
		}
	}
	return false
}

// sameRow reports whether row i of p is row j of q, seq apart.
func (p *packed) sameRow(i int, q *packed, j int) bool { return bytes.Equal(p.hash(i), q.hash(j)) }
