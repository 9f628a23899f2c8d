package replica

import (
	"slices"

	"grapevine/fleet"
	"grapevine/mesh/wire"
)

// texts is the string table of an origin's block: what stands in it under which
// number, and how often it is used.
type texts struct {
	uses    map[string]int // entry -> how often rows say it, in full or by number
	numbers map[string]int // entry -> its number
	entries []textEntry    // by number less one; the last one is taken
	taken   int
	dirty   map[int]bool // pages to be stated
	stated  map[int]bool // pages that the block has
	off     bool         // the machines and images need all of the block's rows
}

type textEntry struct {
	encoded string // empty: the number is free
	refs    int    // fields that name it
}

const (
	// textCost is what an entry costs beside its text: two bytes, and its share
	// of a page's row and columns, of which there may be few to share.
	textCost = 8
	// maxTexts bounds the table: 64 pages, so that machines and images find room
	// in fleet.MaxRows.
	maxTexts = 64 * wire.PageEntries
	// spareTexts is how many unused entries stay in the table at least, for a
	// machine that comes again; past them, and past a quarter of the table, the
	// unused go.
	spareTexts = 16
)

func newTexts() texts {
	return texts{uses: map[string]int{}, numbers: map[string]int{}, dirty: map[int]bool{}, stated: map[int]bool{}}
}

// giveUp empties the table for the rest of the epoch and returns the deletions
// of its pages.
func (t *texts) giveUp(seq uint64) []wire.Deletion {
	var gone []wire.Deletion
	for page := range t.stated {
		gone = append(gone, wire.Deletion{Key: wire.PageKey(page), Seq: seq})
	}
	*t = newTexts()
	t.off = true
	return gone
}

// count says that a row changed from one core to another; either may be nil.
func (t *texts) count(kind wire.Kind, from, to []byte) {
	wire.Repeated(kind, to, func(entry []byte) { t.uses[string(entry)]++ })
	wire.Repeated(kind, from, func(entry []byte) {
		if t.uses[string(entry)]--; t.uses[string(entry)] <= 0 {
			delete(t.uses, string(entry))
		}
	})
}

// intern returns the core with what is in the table by number, and with what is
// said often enough to earn a place there. The block has own rows beside the
// table.
func (t *texts) intern(kind wire.Kind, core []byte, own int) []byte {
	return wire.Intern(kind, core, func(entry []byte) (int, bool) {
		if n, known := t.numbers[string(entry)]; known {
			return n, true
		}
		// In full it takes its length and two bytes more, by number two or three.
		if uses := t.uses[string(entry)]; uses*(len(entry)-1) <= len(entry)+textCost {
			return 0, false
		}
		return t.add(string(entry), own)
	})
}

func (t *texts) add(entry string, own int) (int, bool) {
	if t.off || t.taken >= maxTexts || own+maxTexts/wire.PageEntries >= fleet.MaxRows {
		return 0, false
	}
	place := len(t.entries)
	if t.taken < len(t.entries) {
		place = slices.IndexFunc(t.entries, func(e textEntry) bool { return e.encoded == "" })
	} else {
		t.entries = append(t.entries, textEntry{})
	}
	t.entries[place] = textEntry{encoded: entry}
	t.taken++
	t.numbers[entry] = place + 1
	t.dirty[place/wire.PageEntries] = true
	return place + 1, true
}

// refer adds by to the references of every entry that body names.
func (t *texts) refer(kind wire.Kind, body []byte, by int) {
	wire.Refers(kind, body, func(number uint64) {
		if number-1 < uint64(len(t.entries)) {
			t.entries[number-1].refs += by
		}
	})
}

// release takes back the references of a row that the block has and that goes
// or changes.
func (t *texts) release(b *Block, key Key) {
	if row, had := b.Row(key); had {
		t.refer(key.Kind, row.Body, -1)
	}
}

// flush adds to d the pages that changed. Entries that are no longer used go
// once they are too many.
func (t *texts) flush(d *Delta) {
	unused := 0
	for i := range t.entries {
		if e := &t.entries[i]; e.encoded != "" && e.refs <= 0 {
			unused++
		}
	}
	if unused > max(spareTexts, t.taken/4) {
		t.sweep()
	}
	for page := range t.dirty {
		if body := t.page(page); len(body) > 0 {
			d.Rows = append(d.Rows, Row{Key: wire.PageKey(page), Seq: d.Head.Seq, Body: body})
			t.stated[page] = true
		} else if t.stated[page] {
			d.Deletions = append(d.Deletions, wire.Deletion{Key: wire.PageKey(page), Seq: d.Head.Seq})
			delete(t.stated, page)
		}
	}
	clear(t.dirty)
}

// sweep frees the numbers of entries that are not used.
func (t *texts) sweep() {
	for i := range t.entries {
		e := &t.entries[i]
		if e.encoded == "" || e.refs > 0 {
			continue
		}
		delete(t.numbers, e.encoded)
		*e = textEntry{}
		t.taken--
		t.dirty[i/wire.PageEntries] = true
	}
	for len(t.entries) > 0 && t.entries[len(t.entries)-1].encoded == "" {
		t.entries = t.entries[:len(t.entries)-1]
	}
}

// page returns the body of a page, nothing for one without entries.
func (t *texts) page(page int) []byte {
	var entries []string
	for i := page * wire.PageEntries; i < min((page+1)*wire.PageEntries, len(t.entries)); i++ {
		entries = append(entries, t.entries[i].encoded)
	}
	for len(entries) > 0 && entries[len(entries)-1] == "" {
		entries = entries[:len(entries)-1]
	}
	return wire.EncodePage(entries)
}

// again returns the table as block and cores have it, after a block could not
// be built.
func (t *texts) again(b *Block, cores map[Key][]byte) texts {
	u := newTexts()
	u.off = t.off
	for _, row := range b.between(b.rows.texts) {
		page, _ := wire.PageOf(row.ID)
		u.stated[page] = true
		for place := range wire.PageEntries {
			u.set(page*wire.PageEntries+place, row.Body, place)
		}
	}
	for key, core := range cores {
		u.count(key.Kind, nil, core)
		if row, had := b.Row(key); had {
			u.refer(key.Kind, row.Body, 1)
		}
	}
	return u
}

// set takes the entry in a place of a stated page over.
func (t *texts) set(i int, body []byte, place int) {
	entry, ok := wire.PageEntry(body, place)
	if !ok {
		return
	}
	for len(t.entries) <= i {
		t.entries = append(t.entries, textEntry{})
	}
	t.entries[i] = textEntry{encoded: string(entry)}
	t.numbers[string(entry)] = i + 1
	t.taken++
}
