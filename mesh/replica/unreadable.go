package replica

import (
	"grapevine/fleet"
	"grapevine/mesh/wire"
)

// Unreadable counts the rows of known kinds that this node leaves out when it
// reads: those that it cannot decode, whose key is malformed, that name an
// entry of the table which is not there, or that are of another host than the block's. A
// block without a row of its own host counts one for it. They are kept and
// passed on like all others.
func (b *Block) Unreadable() int {
	bad := 0
	for i := b.rows.instances.from; i < b.rows.instances.to; i++ {
		if b.rows.sign(i) == 0 {
			bad++
		}
	}
	images := 0
	for range b.Images() {
		images++
	}
	bad += len(b.kind(wire.KindImage)) - images
	records := 0
	for range b.Records() {
		records++
	}
	bad += len(b.kind(wire.KindRecord)) - records
	for _, row := range b.between(b.rows.texts) {
		if _, ok := wire.PageOf(row.ID); !ok || !wire.IsPage(row.Body) {
			bad++
		}
	}
	for _, row := range b.kind(wire.KindHost) {
		if id, err := fleet.UUIDFromBytes([]byte(row.ID)); err != nil || id != b.head.Host {
			bad++
		}
	}
	if _, ok := b.Host(); !ok {
		bad++
	}
	return bad
}
