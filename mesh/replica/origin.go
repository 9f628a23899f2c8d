package replica

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"grapevine/fleet"
	"grapevine/mesh/wire"
)

// OwnRow is a row as its origin states it, with every text written in full.
type OwnRow struct {
	Key
	wire.Body
}

// Origin builds the blocks of one host, one after the other. Its caller makes
// sure that only one goroutine uses it.
type Origin struct {
	host  fleet.HostID
	block *Block
	cores map[Key][]byte // the part of each row that counts as a change, in full
	texts texts
	sign  func(message []byte) []byte // nil where nothing is signed
}

// NewOrigin returns the origin of host's blocks.
func NewOrigin(host fleet.HostID) *Origin { return &Origin{host: host} }

// Begin starts a life: an epoch that is durable and higher than any before,
// with its incarnation. The next block is whole, with seq 1.
func (o *Origin) Begin(epoch, incarnation uint64) {
	o.block = newBlock(Head{Host: o.host, Epoch: epoch, Incarnation: incarnation}, pack(nil, nil, 0, elsewhere()))
	o.cores = map[Key][]byte{}
	o.texts = newTexts()
}

// SignWith sets what signs the heads of the blocks to come.
func (o *Origin) SignWith(sign func(message []byte) []byte) { o.sign = sign }

// Block returns the last block built, which has seq 0 and no rows before the
// first, or nil before Begin.
func (o *Origin) Block() *Block { return o.block }

// errOwnTable: the table is made here.
var errOwnTable = errors.New("a row of the string table is stated from outside")

// Next returns the block that states these rows, in any order and without two
// of one key. It reports false, and returns the last block, when nothing
// changed: a row whose Core is the same as before stays as it is, with its old
// stamp, and seq rises only for what changed. Texts that repeat go into the
// block's table. It fails when the rows are past the limits or Begin was not
// called; then the last block stays.
func (o *Origin) Next(own []OwnRow) (*Block, bool, error) {
	if o.block == nil {
		return nil, false, fmt.Errorf("build block of host %s: no epoch yet", o.host)
	}
	d, cores, err := o.diff(own)
	if err == nil && len(d.Rows)+len(d.Deletions) == 0 && o.block.head.Seq > 0 {
		return o.block, false, nil
	}
	var next *Block
	if err == nil {
		next, err = changed(o.block, d, elsewhere())
	}
	if err != nil {
		o.texts = o.texts.again(o.block, o.cores)
		return o.block, false, fmt.Errorf("build block of host %s: %w", o.host, err)
	}
	if o.sign != nil {
		next.signature = o.sign(next.head.AppendSigned(nil))
	}
	o.block, o.cores = next, cores
	return next, true, nil
}

// diff compares the rows with those of the last block.
func (o *Origin) diff(own []OwnRow) (Delta, map[Key][]byte, error) {
	d := Delta{Head: o.block.head}
	d.Head.Seq++
	cores := make(map[Key][]byte, len(own))
	before := o.cores
	if len(own)+len(o.texts.stated) > fleet.MaxRows {
		d.Deletions, before = o.texts.giveUp(d.Head.Seq), nil // every row is written in full again
	}
	var fresh []OwnRow
	for _, row := range own {
		if row.Kind == wire.KindText {
			return d, nil, errOwnTable
		}
		cores[row.Key] = row.Core
		if old, had := before[row.Key]; !had || !bytes.Equal(old, row.Core) {
			o.texts.count(row.Kind, old, row.Core)
			fresh = append(fresh, row)
		}
	}
	for key, core := range o.cores {
		if _, still := cores[key]; !still {
			o.texts.count(key.Kind, core, nil)
			o.texts.release(o.block, key)
			d.Deletions = append(d.Deletions, wire.Deletion{Key: key, Seq: d.Head.Seq})
		}
	}
	for _, row := range fresh {
		body := o.texts.intern(row.Kind, row.Core, len(own))
		o.texts.release(o.block, row.Key)
		o.texts.refer(row.Kind, body, 1)
		body = append(slices.Clip(body), row.Stamp...)
		d.Rows = append(d.Rows, Row{Key: row.Key, Seq: d.Head.Seq, Body: body})
	}
	o.texts.flush(&d)
	return d, cores, nil
}
