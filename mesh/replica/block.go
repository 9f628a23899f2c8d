package replica

import (
	"crypto/sha256"
	"encoding/hex"
	"iter"
	"slices"
	"sort"
	"sync/atomic"

	"grapevine/fleet"
	"grapevine/mesh/wire"
)

type (
	// Head sums up a block; this and the others here are the codec's words that
	// readers of a replica meet.
	Head = wire.Head
	// Row is one row of a block.
	Row = wire.Row
	// Key names a row.
	Key = wire.Key
	// Hash is 16 bytes of a SHA-256.
	Hash = wire.Hash
	// Delta leads from one version of a block to another.
	Delta = wire.Delta
)

// Block is one host's state in one version. It is immutable, and so is
// everything that its methods return.
type Block struct {
	head   Head
	rows   []Row  // in key order
	hashes []Hash // of rows, in the same order
	bytes  int
	// deletions are the last ones known, oldest first; changes since floor or
	// later can be told, those since an earlier seq cannot.
	deletions []wire.Deletion
	floor     uint64

	host atomic.Pointer[hostRow] // decoded at first use
}

type hostRow struct {
	host fleet.Host
	ok   bool
}

// newBlock builds a block from rows in key order, whose hashes the caller
// knows, and works out the head's count and hash.
func newBlock(head Head, rows []Row, hashes []Hash) *Block {
	b := &Block{head: head, rows: rows, hashes: hashes, floor: head.Seq}
	sum := sha256.New()
	for i := range rows {
		sum.Write(hashes[i][:])
		b.bytes += rows[i].Size()
	}
	b.head.Count = len(rows)
	b.head.Hash = Hash(sum.Sum(nil)[:len(Hash{})])
	return b
}

// Head returns the block's head.
func (b *Block) Head() Head { return b.head }

// HostID returns the id of the host that the block is of.
func (b *Block) HostID() fleet.HostID { return b.head.Host }

// Version returns the block's version.
func (b *Block) Version() fleet.Version { return b.head.Version() }

// Len returns the number of rows, those that cannot be decoded included.
func (b *Block) Len() int { return len(b.rows) }

// Bytes returns what the block's rows count against fleet.MaxBlockBytes.
func (b *Block) Bytes() int { return b.bytes }

// Rows returns all rows in key order; the caller must not change them.
func (b *Block) Rows() []Row { return b.rows }

// Row returns the row with this key.
func (b *Block) Row(key Key) (Row, bool) {
	i, found := b.find(key)
	if !found {
		return Row{}, false
	}
	return b.rows[i], true
}

func (b *Block) find(key Key) (int, bool) {
	return sort.Find(len(b.rows), func(i int) int { return key.Compare(b.rows[i].Key) })
}

// kind returns the rows of one kind.
func (b *Block) kind(kind wire.Kind) []Row {
	from, _ := b.find(Key{Kind: kind})
	to, _ := b.find(Key{Kind: kind + 1})
	return b.rows[from:to]
}

// Host returns the host as its agent describes it, with the block's version
// and the images that the block lists. It reports false where the block has no
// row of the host that this node can read.
func (b *Block) Host() (fleet.Host, bool) {
	h := b.host.Load()
	if h == nil {
		h = b.decodeHost()
		b.host.Store(h) // a reader who comes at the same time stores the same
	}
	return h.host, h.ok
}

func (b *Block) decodeHost() *hostRow {
	row, found := b.Row(wire.HostKey(b.head.Host))
	if !found {
		return &hostRow{}
	}
	host, err := wire.DecodeHost(b.head.Host, row.Body)
	if err != nil {
		return &hostRow{}
	}
	for _, image := range b.kind(wire.KindImage) {
		host.Images = append(host.Images, hex.EncodeToString([]byte(image.ID)))
	}
	host.Version = b.head.Version()
	return &hostRow{host: host, ok: true}
}

// HostName returns the host's name, or the empty string where its row cannot
// be read.
func (b *Block) HostName() string {
	h, _ := b.Host()
	return h.Name
}

// Instances yields the block's instances in the order of their ids. A row that
// cannot be decoded is left out; Unreadable counts those. The version of an
// instance is that of its row's last change.
func (b *Block) Instances() iter.Seq[fleet.Instance] {
	return func(yield func(fleet.Instance) bool) {
		for _, row := range b.kind(wire.KindInstance) {
			if in, ok := b.instance(row); ok && !yield(in) {
				return
			}
		}
	}
}

// Instance returns one instance of the block.
func (b *Block) Instance(id fleet.InstanceID) (fleet.Instance, bool) {
	row, found := b.Row(wire.InstanceKey(id))
	if !found {
		return fleet.Instance{}, false
	}
	return b.instance(row)
}

func (b *Block) instance(row Row) (fleet.Instance, bool) {
	id, err := fleet.UUIDFromBytes([]byte(row.ID))
	if err != nil {
		return fleet.Instance{}, false
	}
	in, err := wire.DecodeInstance(b.head.Host, id, row.Body)
	in.Version = fleet.Version{Host: b.head.Host, Epoch: b.head.Epoch, Seq: row.Seq}
	return in, err == nil
}

// Images yields the images that the host holds, in the order of their ids,
// each with this host as its only holder.
func (b *Block) Images() iter.Seq[fleet.Image] {
	return func(yield func(fleet.Image) bool) {
		for _, row := range b.kind(wire.KindImage) {
			im, err := wire.DecodeImage(hex.EncodeToString([]byte(row.ID)), row.Body)
			if err != nil {
				continue
			}
			im.Hosts = []fleet.HostID{b.head.Host}
			if !yield(im) {
				return
			}
		}
	}
}

// Unreadable counts the rows of known kinds that this node cannot decode.
func (b *Block) Unreadable() int {
	known := len(b.kind(wire.KindInstance)) + len(b.kind(wire.KindImage))
	for range b.Instances() {
		known--
	}
	for range b.Images() {
		known--
	}
	if _, ok := b.Host(); !ok {
		known++
	}
	return known
}

// Since returns what leads from the version that a peer holds to this block:
// the rows changed and deleted since, all rows when that can no longer be
// told, or only the head when the peer holds the same rows already. It reports
// false when the peer's version is this one or newer. Of the peer's head the
// life and the seq are asked for, and the hash of its rows or zero.
func (b *Block) Since(held Head) (Delta, bool) {
	d := Delta{Tag: wire.TagOf(b.head.Host), Head: b.head}
	switch {
	case held.SameLife(&b.head) && held.Seq >= b.head.Seq, held.Epoch > b.head.Epoch:
		return Delta{}, false
	case held.SameLife(&b.head) && held.Seq >= b.floor:
		d.Form, d.Since = wire.Changes, held.Seq
		for _, row := range b.rows {
			if row.Seq > held.Seq {
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
		d.Form, d.Rows = wire.Whole, b.rows
	}
	return d, true
}

// uniform reports whether every row last changed in the head's seq, so that a
// receiver of the head alone can restore the rows' seqs.
func (b *Block) uniform() bool {
	return !slices.ContainsFunc(b.rows, func(r Row) bool { return r.Seq != b.head.Seq })
}
