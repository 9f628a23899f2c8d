package replica

import "grapevine/mesh/wire"

// roster says which project each instance of a block is in. It is drawn up
// along with their signs, where every row is read anyway, and by anyone: the
// numbers that the writer gives projects come in when the block is indexed.
type roster struct {
	names []string // some may be there twice
	of    []uint16 // places in names, by instance, from the first one on
}

// add says where instance i, which can be read, says its project. byEntry is the
// place of each entry of the table, plus one; 0 for one that was not met yet.
func (o *roster) add(i int, ref uint64, inFull []byte, table entries, byEntry []uint16) {
	if ref > 0 && byEntry[ref-1] > 0 { // it can be read: the entry is there
		o.of[i] = byEntry[ref-1] - 1
		return
	}
	if ref > 0 {
		inFull, _ = table.Entry(ref)
	}
	var space [128]byte
	name := wire.TextForm(&space, inFull)
	last := len(o.names) - 1
	if last < 0 || o.names[last] != string(name) {
		last++
		o.names = append(o.names, string(name))
	}
	o.of[i] = uint16(last) // bounded by fleet.MaxRows
	if ref > 0 {
		byEntry[ref-1] = o.of[i] + 1
	}
}
