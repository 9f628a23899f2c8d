package replica

import (
	"slices"

	"grapevine/mesh/wire"
)

// Since returns what leads from the version that a peer holds to this block:
// the rows changed and deleted since, all rows when that can no longer be
// told, or only the head when the peer holds the same rows already. It reports
// false when the peer's version is this one or newer. Of the peer's head the
// life and the seq are asked for, and the hash of its rows or zero.
func (b *Block) Since(held Head) (Delta, bool) { return b.SinceIn(nil, held) }

// SinceIn is Since that puts rows which changed into room, an empty slice, as
// far as that has capacity.
func (b *Block) SinceIn(room []Row, held Head) (Delta, bool) {
	d := Delta{Tag: wire.TagOf(b.head.Host), Head: b.head, Signature: b.signature}
	switch {
	case held.SameLife(&b.head) && held.Seq >= b.head.Seq, held.Epoch > b.head.Epoch:
		return Delta{}, false
	case held.SameLife(&b.head) && held.Seq >= b.floor:
		d.Form, d.Since, d.Rows = wire.Changes, held.Seq, room
		for i := range b.rows.n {
			if row := b.rows.row(i); row.Seq > held.Seq {
				d.Rows = append(d.Rows, row)
			}
		}
		first := slices.IndexFunc(b.deletions, func(x wire.Deletion) bool { return x.Seq > held.Seq })
		if first >= 0 {
			d.Deletions = b.deletions[first:]
		}
	case held.Hash == b.head.Hash && b.uniform():
		d.Form = wire.HeadOnly
	default:
		d.Form, d.Rows = wire.Whole, b.Rows()
	}
	return d, true
}

// uniform reports whether every row last changed in the head's seq, so that a
// receiver of the head alone can restore the rows' seqs.
func (b *Block) uniform() bool {
	for i := range b.rows.n {
		if b.rows.row(i).Seq != b.head.Seq {
			return false
		}
	}
	return true
}
