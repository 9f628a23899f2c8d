package replica

import (
	"iter"

	"grapevine/fleet"
	"grapevine/mesh/wire"
)

// Records yields the records that the block's host holds, in the order of their
// ids, also those of kinds that this node does not know. A row that cannot be
// decoded is left out.
func (b *Block) Records() iter.Seq[fleet.Record] {
	return func(yield func(fleet.Record) bool) {
		for _, row := range b.kind(wire.KindRecord) {
			id, err := fleet.UUIDFromBytes([]byte(row.ID))
			if err != nil {
				continue
			}
			r, err := wire.DecodeRecord(id, row.Body)
			if err == nil && !yield(r) {
				return
			}
		}
	}
}

// RecordRows returns how many rows of records there are, and the seq of the one
// that changed last: of two blocks of one life in which both are the same, the
// records are.
func (b *Block) RecordRows() (count int, last uint64) {
	rows := b.kind(wire.KindRecord)
	for i := range rows {
		last = max(last, rows[i].Seq)
	}
	return len(rows), last
}
