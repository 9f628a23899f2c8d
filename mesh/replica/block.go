package replica

import (
	"encoding/hex"
	"iter"
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
	// Deletion says that a row was deleted.
	Deletion = wire.Deletion
	// Delta leads from one version of a block to another.
	Delta = wire.Delta
)

// The kinds of rows that readers tell apart.
const (
	KindHost     = wire.KindHost
	KindInstance = wire.KindInstance
	// KindText is the kind of the pages of the string table, which say nothing
	// by themselves.
	KindText = wire.KindText
)

// Block is one host's state in one version. It is immutable, and so is
// everything that its methods return.
type Block struct {
	head   Head
	digest uint64 // of head: see Head.Digest
	rows   packed
	// signature is the host's over the head, nil for none.
	signature []byte
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

// newBlock builds a block from its rows, and works out the head's count and
// hash.
func newBlock(head Head, rows packed) *Block {
	b := &Block{head: head, rows: rows, floor: head.Seq}
	b.head.Count, b.head.Hash = rows.n, wire.SumOf(rows.hashes)
	b.digest = b.head.Digest()
	return b
}

// Head returns the block's head.
func (b *Block) Head() Head { return b.head }

// HostID returns the id of the host that the block is of.
func (b *Block) HostID() fleet.HostID { return b.head.Host }

// Version returns the block's version.
func (b *Block) Version() fleet.Version { return b.head.Version() }

// Len returns the number of rows, those that cannot be decoded included.
func (b *Block) Len() int { return b.rows.n }

// Pages returns how many of the rows are pages of the string table.
func (b *Block) Pages() int { return b.rows.texts.to - b.rows.texts.from }

// Bytes returns what the block's rows count against fleet.MaxBlockBytes: their
// ids and bodies, and 32 for each.
func (b *Block) Bytes() int { return b.rows.size }

// Encoded returns the size of the block's rows as they are held and sent.
func (b *Block) Encoded() int { return b.rows.live }

// Rows returns all rows in key order, read from the block as they are asked
// for: the slice is the caller's, what its rows point to is not to be changed.
func (b *Block) Rows() []Row { return b.between(span{0, b.rows.n}) }

// between returns the rows of a span.
func (b *Block) between(s span) []Row {
	rows := make([]Row, 0, s.to-s.from)
	for i := s.from; i < s.to; i++ {
		rows = append(rows, b.rows.row(i))
	}
	return rows
}

// Row returns the row with this key.
func (b *Block) Row(key Key) (Row, bool) {
	i, found := b.rows.find(key)
	if !found {
		return Row{}, false
	}
	return b.rows.row(i), true
}

// kind returns the rows of one kind.
func (b *Block) kind(kind wire.Kind) []Row { return b.between(b.rows.span(kind)) }

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

// Credential returns the body of the row by which the host signs its heads, nil
// for none.
func (b *Block) Credential() []byte {
	row, _ := b.Row(wire.CredentialKey())
	return row.Body
}

// HostName returns the host's name, or the empty string where its row cannot
// be read.
func (b *Block) HostName() string {
	h, _ := b.Host()
	return h.Name
}

// Instances yields the block's instances in the order of their ids. A row that
// cannot be decoded is left out; Unreadable counts those. The version of an
// instance is that of its row's last change. Strings of the instances alias the
// block's memory: who keeps one for long clones it.
func (b *Block) Instances() iter.Seq[fleet.Instance] {
	return func(yield func(fleet.Instance) bool) {
		for i := b.rows.instances.from; i < b.rows.instances.to; i++ {
			if in, ok := b.instance(i); ok && !yield(in) {
				return
			}
		}
	}
}

// Instance returns one instance of the block, as Instances does.
func (b *Block) Instance(id fleet.InstanceID) (fleet.Instance, bool) {
	i, found := b.rows.find(wire.InstanceKey(id))
	if !found {
		return fleet.Instance{}, false
	}
	return b.instance(i)
}

// instance decodes row i.
func (b *Block) instance(i int) (fleet.Instance, bool) {
	if b.rows.sign(i) == 0 {
		return fleet.Instance{}, false // it cannot be read
	}
	row := b.rows.row(i)
	id, err := fleet.UUIDFromBytes([]byte(row.ID))
	if err != nil {
		return fleet.Instance{}, false
	}
	in, err := wire.DecodeInstance(b.head.Host, id, row.Body, &b.rows)
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
