package replica

import (
	"fmt"
	"iter"

	"grapevine/fleet"
	"grapevine/mesh/wire"
)

// Root sums up all that is held in 8 bytes: two replicas with equal roots hold
// the same blocks.
func (r *Replica) Root() uint64 { return r.root.Load() }

// Buckets returns the 256 parts of the root, each over the hosts whose tag
// falls into it. Their exclusive or is the root.
func (r *Replica) Buckets() [wire.Buckets]uint64 {
	var out [wire.Buckets]uint64
	for i := range out {
		out[i] = r.buckets[i].Load()
	}
	return out
}

func (r *Replica) updateRoot(tag wire.Tag, old, next *Block) {
	change := next.digest
	if old != nil {
		change ^= old.digest
	}
	bucket := &r.buckets[tag.Bucket()]
	bucket.Store(bucket.Load() ^ change)
	r.root.Store(r.root.Load() ^ change)
}

// Digest returns the root and a row for each host held. Under changes the rows
// may be a little newer than the root.
func (r *Replica) Digest() fleet.Digest {
	d := fleet.Digest{Root: fmt.Sprintf("%016x", r.Root()), Rows: make([]fleet.DigestRow, 0, r.Len())}
	for b := range r.Blocks() {
		d.Rows = append(d.Rows, fleet.DigestRow{
			Host: b.head.Host, HostName: b.HostName(), Version: b.Version(),
			Incarnation: fmt.Sprintf("%016x", b.head.Incarnation),
			Rows:        b.Len(), Bytes: b.Bytes(), Hash: b.head.Hash.String(),
		})
	}
	return d
}

// Covered yields the tag and block of every host whose bucket covers accepts,
// in the order of host ids (writer).
func (r *Replica) Covered(covers func(bucket int) bool) iter.Seq2[wire.Tag, *Block] {
	return func(yield func(wire.Tag, *Block) bool) {
		for _, e := range r.hosts.inOrder() {
			if covers(e.tag.Bucket()) && !yield(e.tag, e.block.Load()) {
				return
			}
		}
	}
}
