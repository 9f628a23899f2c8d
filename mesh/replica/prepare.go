package replica

import "grapevine/mesh/wire"

// prepared is what Prepare leaves in a delta.
type prepared struct {
	block   *Block
	err     error
	nursery *nursery
}

// Prepare does, for the deltas of a frame that are of form Whole, that part of
// Apply which needs nothing of what is held, and is most of it: it checks the
// rows and lays them out where they are to stay. Apply of the same delta, which
// nobody may change meanwhile, then takes the result. Unlike Apply it may be
// called by anyone at any time; it keeps nothing of the deltas' memory. Deltas
// of other forms it leaves as they are.
func Prepare(deltas []Delta) {
	m, size := elsewhere(), 0
	for i := range deltas {
		if deltas[i].Form == wire.Whole {
			size += encodedSize(deltas[i].Rows)
		}
	}
	m.nursery = &nursery{memory: make([]byte, size)}
	for i := range deltas {
		if d := &deltas[i]; d.Form == wire.Whole {
			b, err := mergeWhole(d, m)
			d.Prepared = &prepared{b, err, m.nursery}
		}
	}
}

func encodedSize(rows []Row) (size int) {
	for i := range rows {
		size += wire.RowLen(&rows[i])
	}
	return size
}

// mergeWhole returns the block that d, which has all its rows, leads to.
func mergeWhole(d *Delta, m memory) (*Block, error) {
	if p, ok := d.Prepared.(*prepared); ok {
		return p.block, p.err
	}
	b, err := whole(d.Head, d.Rows, m)
	if err != nil {
		return nil, err
	}
	return m.checked(b, d.Head, &packed{}, ErrMismatch)
}

// nurseryOf returns where the rows of a block that d led to are, nil where d was
// not prepared.
func nurseryOf(d *Delta) *nursery {
	if p, ok := d.Prepared.(*prepared); ok {
		return p.nursery
	}
	return nil
}
