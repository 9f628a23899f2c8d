package replica

import (
	"bytes"
	"fmt"
	"slices"

	"grapevine/fleet"
	"grapevine/mesh/wire"
)

// OwnRow is a row as its origin states it.
type OwnRow struct {
	Key
	wire.Body
}

// Origin builds the blocks of one host, one after the other. Its caller makes
// sure that only one goroutine uses it.
type Origin struct {
	host  fleet.HostID
	block *Block
	cores map[Key][]byte // the part of each row that counts as a change
}

// NewOrigin returns the origin of host's blocks.
func NewOrigin(host fleet.HostID) *Origin { return &Origin{host: host} }

// Begin starts a life: an epoch that is durable and higher than any before,
// with its incarnation. The next block is whole, with seq 1.
func (o *Origin) Begin(epoch, incarnation uint64) {
	o.block = newBlock(Head{Host: o.host, Epoch: epoch, Incarnation: incarnation}, nil, nil)
	o.cores = map[Key][]byte{}
}

// Block returns the last block built, which has seq 0 and no rows before the
// first, or nil before Begin.
func (o *Origin) Block() *Block { return o.block }

// Next returns the block that states these rows, in any order and without two
// of one key. It reports false, and returns the last block, when nothing
// changed: a row whose Core is the same as before stays as it is, with its old
// stamp, and seq rises only for what changed. It fails when the rows are past
// the limits or Begin was not called.
func (o *Origin) Next(own []OwnRow) (*Block, bool, error) {
	if o.block == nil {
		return nil, false, fmt.Errorf("build block of host %s: no epoch yet", o.host)
	}
	d, cores := o.diff(own)
	if len(d.Rows)+len(d.Deletions) == 0 && o.block.head.Seq > 0 {
		return o.block, false, nil
	}
	next, err := changed(o.block, d)
	if err != nil {
		return o.block, false, fmt.Errorf("build block of host %s: %w", o.host, err)
	}
	o.block, o.cores = next, cores
	return next, true, nil
}

// diff compares the rows with those of the last block.
func (o *Origin) diff(own []OwnRow) (Delta, map[Key][]byte) {
	d := Delta{Head: o.block.head}
	d.Head.Seq++
	cores := make(map[Key][]byte, len(own))
	for _, row := range own {
		cores[row.Key] = row.Core
		if old, had := o.cores[row.Key]; !had || !bytes.Equal(old, row.Core) {
			d.Rows = append(d.Rows, Row{Key: row.Key, Seq: d.Head.Seq, Body: row.Bytes()})
		}
	}
	for _, row := range o.block.rows {
		if _, still := cores[row.Key]; !still {
			d.Deletions = append(d.Deletions, wire.Deletion{Key: row.Key, Seq: d.Head.Seq})
		}
	}
	d.Deletions = slices.Clip(d.Deletions)
	return d, cores
}
