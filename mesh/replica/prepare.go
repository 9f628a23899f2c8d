package replica

import "grapevine/mesh/wire"

// prepared is what Prepare leaves in a delta.
type prepared struct {
	block *Block
	err   error
}

// Prepare does, for a delta of form Whole, that part of Apply which needs
// nothing of what is held, and is most of it: it checks the rows and lays them
// out. Apply of the same delta, which nobody may change meanwhile, then takes
// the result. Unlike Apply it may be called by anyone at any time; it keeps
// nothing of the delta's memory. Deltas of other forms it leaves as they are.
func Prepare(d *Delta) {
	if d.Form == wire.Whole {
		b, err := mergeWhole(d, nil, 0)
		d.Prepared = &prepared{b, err}
	}
}

// mergeWhole returns the block that d, which has all its rows, leads to.
func mergeWhole(d *Delta, a *arena, owner uint16) (*Block, error) {
	if p, ok := d.Prepared.(*prepared); ok {
		return p.block, p.err
	}
	b, err := whole(d.Head, d.Rows, a, owner)
	if err != nil {
		return nil, err
	}
	return a.checked(b, d.Head, &packed{}, ErrMismatch)
}
