package replica

import (
	"iter"

	"grapevine/fleet"
	"grapevine/mesh/wire"
)

// Hints yields what the block's host says of hosts that it no longer hears, in
// the order of their ids. A row that cannot be decoded is left out, and so is
// what a host says of itself.
func (b *Block) Hints() iter.Seq[fleet.Hint] {
	return func(yield func(fleet.Hint) bool) {
		for _, row := range b.kind(wire.KindHint) {
			subject, err := fleet.UUIDFromBytes([]byte(row.ID))
			if err != nil || subject == b.HostID() {
				continue
			}
			hint, err := wire.DecodeHint(subject, row.Body)
			if err == nil && !yield(hint) {
				return
			}
		}
	}
}
