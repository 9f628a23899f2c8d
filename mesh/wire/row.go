package wire

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math/bits"
	"strings"
	"unsafe"

	"grapevine/fleet"
)

// Kind says what a row is about. A node keeps and relays kinds that it does
// not know.
type Kind uint32

// The kinds of this release.
const (
	KindHost     Kind = 1 // key: host id, 16 bytes; exactly one in a block
	KindInstance Kind = 2 // key: instance id, 16 bytes
	KindImage    Kind = 3 // key: image id, 32 bytes
)

// MaxKeyBytes bounds the id in a key.
const MaxKeyBytes = 64

// Key names a row within its host's block. Rows are ordered by Kind, then by
// the bytes of ID.
type Key struct {
	Kind Kind
	ID   string // raw bytes
}

// Compare orders keys: -1, 0 or +1.
func (k Key) Compare(l Key) int {
	if k.Kind != l.Kind {
		return cmp.Compare(k.Kind, l.Kind)
	}
	return strings.Compare(k.ID, l.ID)
}

// HostKey returns the key of the host's own row.
func HostKey(id fleet.HostID) Key { return Key{KindHost, string(id[:])} }

// InstanceKey returns the key of an instance's row.
func InstanceKey(id fleet.InstanceID) Key { return Key{KindInstance, string(id[:])} }

// ImageKey returns the key of an image's row, and false for what is no image
// id.
func ImageKey(id string) (Key, bool) {
	raw, err := hex.DecodeString(id)
	return Key{KindImage, string(raw)}, err == nil && fleet.IsImageID(id)
}

// Row is one row of a block. Body is opaque to all but its origin and its
// readers, and nobody may change it.
type Row struct {
	Key
	Seq  uint64 // of the row's last change, within the block's epoch
	Body []byte
}

// Hash is a truncated SHA-256: 16 bytes.
type Hash [16]byte

// String returns 32 hexadecimal digits.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// Hash covers a row's kind, id and body, not its seq: so the same rows have
// the same hash in every epoch.
func (r *Row) Hash() Hash {
	var space [512]byte // most rows fit, and then nothing is allocated
	buf := space[:0]
	buf = binary.AppendUvarint(buf, uint64(r.Kind))
	buf = binary.AppendUvarint(buf, uint64(len(r.ID)))
	buf = append(buf, r.ID...)
	buf = append(buf, r.Body...)
	sum := sha256.Sum256(buf)
	return Hash(sum[:16])
}

// AppendRow appends a row as replicas keep it: kind, length of the id, id, seq,
// length of the body, body, the numbers as varints. An answer carries the same,
// with the seq counted from the head's.
func AppendRow(buf []byte, r *Row) []byte {
	buf = binary.AppendUvarint(buf, uint64(r.Kind))
	buf = binary.AppendUvarint(buf, uint64(len(r.ID)))
	buf = append(buf, r.ID...)
	buf = binary.AppendUvarint(buf, r.Seq)
	buf = binary.AppendUvarint(buf, uint64(len(r.Body)))
	return append(buf, r.Body...)
}

// RowLen returns how many bytes AppendRow appends.
func RowLen(r *Row) int {
	return uvarintLen(uint64(r.Kind)) + uvarintLen(uint64(len(r.ID))) + len(r.ID) +
		uvarintLen(r.Seq) + uvarintLen(uint64(len(r.Body))) + len(r.Body)
}

func uvarintLen(v uint64) int { return (bits.Len64(v|1) + 6) / 7 }

// RowAt reads the row that AppendRow wrote at the start of b, which may go on
// behind it, and returns its length. The row aliases b, which nobody may change
// any more.
func RowAt(b []byte) (Row, int) {
	kind, at := uvarintAt(b, 0)
	size, at := uvarintAt(b, at)
	id := b[at : at+int(size)] // AppendRow wrote it: it is there
	seq, at := uvarintAt(b, at+int(size))
	size, at = uvarintAt(b, at)
	end := at + int(size)
	return Row{Key: Key{Kind(kind), inPlace(id)}, Seq: seq, Body: b[at:end:end]}, end
}

// LenAt is RowAt for the length alone.
func LenAt(b []byte) int {
	_, at := uvarintAt(b, 0)
	size, at := uvarintAt(b, at)
	_, at = uvarintAt(b, at+int(size))
	size, at = uvarintAt(b, at)
	return at + int(size)
}

// KeyAt is RowAt for the key alone.
func KeyAt(b []byte) Key {
	kind, at := uvarintAt(b, 0)
	size, at := uvarintAt(b, at)
	return Key{Kind(kind), inPlace(b[at : at+int(size)])}
}

// uvarintAt reads the varint at b[at] and returns where it ends.
func uvarintAt(b []byte, at int) (uint64, int) {
	if v := b[at]; v < 0x80 {
		return uint64(v), at + 1
	}
	v, n := binary.Uvarint(b[at:])
	return v, at + n
}

// inPlace returns the bytes as a string without copying them. They must never
// change: blocks are immutable, so it is for their bytes. The string keeps all
// of the block's memory from being freed.
func inPlace(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	return unsafe.String(&b[0], len(b))
}

// Size is what a row counts against [fleet.MaxBlockBytes].
func (r *Row) Size() int { return len(r.ID) + len(r.Body) + rowOverhead }

// rowOverhead is above the bytes that tags, lengths and numbers of an encoded
// row take.
const rowOverhead = 32

// Head sums up a host's block.
type Head struct {
	Host        fleet.HostID
	Incarnation uint64 // random, drawn anew with every epoch
	Epoch       uint64
	Seq         uint64
	Count       int  // rows
	Hash        Hash // over the rows' hashes in key order
}

// Compare is the merge law. Of two heads of one host the greater one wins,
// everywhere: by epoch, then incarnation, then seq, then hash. It is a total
// order, so merging is commutative, associative and idempotent. Incarnation
// stands before seq so that two lives of one host which reached the same epoch
// do not overtake each other with every publication.
func (h *Head) Compare(o *Head) int {
	return cmp.Or(
		cmp.Compare(h.Epoch, o.Epoch),
		cmp.Compare(h.Incarnation, o.Incarnation),
		cmp.Compare(h.Seq, o.Seq),
		bytes.Compare(h.Hash[:], o.Hash[:]),
	)
}

// SameLife reports whether both heads were published in one epoch of one
// incarnation, so that their seqs can be compared.
func (h *Head) SameLife(o *Head) bool {
	return h.Host == o.Host && h.Epoch == o.Epoch && h.Incarnation == o.Incarnation
}

// Version returns the head's version.
func (h *Head) Version() fleet.Version {
	return fleet.Version{Host: h.Host, Epoch: h.Epoch, Seq: h.Seq}
}

// Digest is the head's part in a node's root: 8 bytes of a SHA-256 over every
// field but Count. Roots add these up by exclusive or, so their order does not
// matter and a change costs two of them.
func (h *Head) Digest() uint64 {
	buf := make([]byte, 0, 64)
	buf = append(buf, h.Host[:]...)
	buf = binary.BigEndian.AppendUint64(buf, h.Incarnation)
	buf = binary.BigEndian.AppendUint64(buf, h.Epoch)
	buf = binary.BigEndian.AppendUint64(buf, h.Seq)
	buf = append(buf, h.Hash[:]...)
	sum := sha256.Sum256(buf)
	return binary.BigEndian.Uint64(sum[:8])
}

// Tag stands for a host in announcements: the first 4 bytes of the SHA-256 of
// its id. (Not of the id itself: hardware vendors give all their machines the
// same first bytes.) Two hosts may share one; see docs/protocol.md.
type Tag uint32

// TagOf returns a host's tag.
func TagOf(id fleet.HostID) Tag {
	sum := sha256.Sum256(id[:])
	return Tag(binary.BigEndian.Uint32(sum[:4]))
}

// Deletion says that a row was deleted, and in which seq.
type Deletion struct {
	Key
	Seq uint64
}

// MaxDeletions is how many deletions of a host a node remembers.
const MaxDeletions = 64

// Form says how a delta is to be read.
type Form uint8

// The forms of a delta.
const (
	Whole    Form = 1 // Rows are all rows
	Changes  Form = 2 // Rows and Deletions since seq Since of the same life
	HeadOnly Form = 3 // another epoch of the rows already held
)

// Delta leads from a block that the receiver holds, or from nothing, to the
// block that Head sums up.
type Delta struct {
	Tag       Tag
	Form      Form
	Since     uint64
	Head      Head
	Rows      []Row
	Deletions []Deletion
	// Signature is the host's, over the head: see AppendSigned. None has a block
	// of a mesh without identities.
	Signature []byte
	// Beat and AgeMS say how long ago the host was surely alive; see Announcement.
	Beat  uint64
	AgeMS uint64
	// Ask is the number of the want that this answers, 0 for none.
	Ask uint64
	// Checked is what came of looking at the signature before the delta is merged;
	// nil for nothing. It does not travel.
	Checked any
	// Prepared is what a replica made of the delta before it merges it; nil for
	// nothing. It does not travel.
	Prepared any
}

// Pushed reports whether the delta was sent unasked, by its host itself. Of the
// head's incarnation only the low 16 bits travel with it; Since does.
func (d *Delta) Pushed() bool { return d.Ask == 0 && d.Form == Changes }

// SumOf returns the first 16 bytes of the SHA-256 of b: over the hashes of all
// rows in key order it is the hash in a block's head.
func SumOf(b []byte) Hash {
	sum := sha256.Sum256(b)
	return Hash(sum[:16])
}
