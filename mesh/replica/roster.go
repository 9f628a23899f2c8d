package replica

import "grapevine/mesh/wire"

// roster says which project each instance of a block is in. It is drawn up
// along with their signs, where every row is read anyway, and by anyone: the
// numbers that the writer gives projects come in when the block is indexed.
type roster struct {
	names   []string
	known   map[string]uint16 // places in names; of those written in full, too
	byEntry []uint16          // of the table, plus one; 0 for one not met yet
	of      []uint16          // by instance, from the first one on
}

func newRoster(instances int) *roster {
	return &roster{known: map[string]uint16{}, of: make([]uint16, instances)}
}

// add says where instance i, which can be read, says its project.
func (o *roster) add(i int, ref uint64, inFull []byte, table entries) {
	if ref < uint64(len(o.byEntry)) && o.byEntry[ref] > 0 {
		o.of[i] = o.byEntry[ref] - 1
		return
	}
	if ref > 0 {
		inFull, _ = table.Entry(ref)
	}
	var space [128]byte
	name := wire.TextForm(&space, inFull)
	at, met := o.known[string(name)]
	if !met {
		at = uint16(len(o.names)) // bounded by fleet.MaxRows
		o.names = append(o.names, string(name))
		o.known[o.names[at]] = at
	}
	o.of[i] = at
	if ref > 0 {
		for uint64(len(o.byEntry)) <= ref {
			o.byEntry = append(o.byEntry, 0)
		}
		o.byEntry[ref] = at + 1
	}
}
