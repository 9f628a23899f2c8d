package replica

import (
	"iter"

	"grapevine/fleet"
	"grapevine/mesh/wire"
)

// Groups yields the instances whose rows have changed after this seq, each with
// the server group that it is in, zero for none; in the order of their ids. Of
// most changes it looks at one body.
func (b *Block) Groups(after uint64) iter.Seq2[fleet.InstanceID, fleet.GroupID] {
	return func(yield func(fleet.InstanceID, fleet.GroupID) bool) {
		for i := b.rows.instances.from; i < b.rows.instances.to; i++ {
			row := b.rows.row(i)
			if row.Seq <= after {
				continue
			}
			id, err := fleet.UUIDFromBytes([]byte(row.ID))
			if err == nil && !yield(id, wire.GroupOf(row.Body)) {
				return
			}
		}
	}
}

// Has reports whether the block has a row of the instance.
func (b *Block) Has(id fleet.InstanceID) bool {
	_, found := b.rows.find(wire.InstanceKey(id))
	return found
}
