package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/klauspost/compress/s2"

	"grapevine/fleet"
)

// A frame is: 1 byte, the kind, with flagS2 if the payload is one s2 block; the
// payload's length as a varint; the payload.
const flagS2 = 0x80

// maxPayload bounds the payload of each kind, before and after decompression.
// Rows, Announce and Beats: 10,000 hosts (fleet.MaxHosts) at most 40 B each,
// twice over. Want: far above the window of 256 items of at most 60 B. Answer:
// one block of the largest size, and what a batch may hold before it is added.
var maxPayload = [...]int{
	kindHello:    4 << 10,
	kindBye:      1 << 10,
	kindPulse:    64,
	kindBeats:    1 << 20,
	kindRoot:     64,
	kindBuckets:  4 << 10,
	kindParts:    64 << 10,
	kindRows:     1 << 20,
	kindAnnounce: 1 << 20,
	kindWant:     64 << 10,
	kindAnswer:   fleet.MaxBlockBytes + AnswerBatchBytes,
	kindPeers:    1 << 10,
}

const (
	// maxUnknown bounds the payload of kinds that this version does not know.
	maxUnknown = 1 << 20
	// AnswerBatchBytes is when an Answer is full: no further delta is added to
	// it. A single delta may be larger.
	AnswerBatchBytes = 256 << 10
	// AnswerBatchRows is the same, in rows and in deltas.
	AnswerBatchRows = 1024
	// compressAbove is the payload size from which whole blocks are compressed.
	compressAbove = 512
)

// ErrBadFrame is wrapped by every error of a Reader that is the peer's fault.
var ErrBadFrame = errors.New("bad frame")

// AppendFrame appends the frame of m to buf.
func AppendFrame(buf []byte, m Message) ([]byte, error) {
	const most = 1 + binary.MaxVarintLen32
	var header [most]byte
	start := len(buf)
	buf = append(buf, header[:]...) // moved up to the payload once its length is known
	buf = appendPayload(buf, m)
	payload, kind := buf[start+most:], byte(m.kind())
	if limit := maxPayload[kind]; len(payload) > limit {
		return buf[:start], fmt.Errorf("append frame of kind %d: %d bytes, at most %d are allowed", kind, len(payload), limit)
	}
	if len(payload) > compressAbove && hasWhole(m) {
		buf = slices.Grow(buf, s2.MaxEncodedLen(len(payload)))
		payload = buf[start+most:]
		if packed := s2.EncodeBetter(buf[len(buf):cap(buf)], payload); len(packed) < len(payload) {
			buf = append(buf[:start+most], packed...)
			payload, kind = buf[start+most:], kind|flagS2
		}
	}
	header[0] = kind
	n := 1 + binary.PutUvarint(header[1:], uint64(len(payload))) // not negative
	copy(buf[start+n:], payload)
	copy(buf[start:], header[:n])
	return buf[:start+n+len(payload)], nil
}

func hasWhole(m Message) bool {
	answer, ok := m.(*Answer)
	if !ok {
		return false
	}
	for i := range answer.Deltas {
		if answer.Deltas[i].Form == Whole {
			return true
		}
	}
	return false
}

// Source is where frames are read from; a bufio.Reader or bytes.Reader is one.
type Source interface {
	io.Reader
	io.ByteReader
}

// Reader reads the frames of one link.
type Reader struct {
	from     Source
	payload  []byte
	unpacked []byte
	announce Announce
	want     Want
	answer   Answer
	// Those of answer.
	rows      []Row
	deletions []Deletion
}

// What a Reader keeps from one frame to the next that is not itself larger, so
// that a busy link allocates nothing and one that brought a whole fleet gives its
// memory back.
const (
	keptBytes = 64 << 10
	keptItems = 1024
)

// NewReader returns a reader of frames.
func NewReader(from Source) *Reader { return &Reader{from: from} }

// Read reads one frame and returns its message and its length in bytes. It
// returns a nil message for a kind that this version does not know. An
// Announce, a Want, an Answer and all that they point to are the reader's own and
// valid until the next Read.
func (r *Reader) Read() (Message, int, error) {
	first, err := r.from.ReadByte()
	if err != nil {
		return nil, 0, fmt.Errorf("read frame: %w", err)
	}
	kind := frameKind(first &^ flagS2)
	length, err := binary.ReadUvarint(r.from)
	if err != nil {
		return nil, 0, fmt.Errorf("read frame of kind %d: %w", kind, err)
	}
	limit, known := limitOf(kind)
	if length > uint64(limit) { // not negative
		return nil, 0, fmt.Errorf("%w: kind %d is %d bytes long, at most %d are allowed", ErrBadFrame, kind, length, limit)
	}
	if length <= keptBytes {
		r.trim()
	}
	if r.payload, err = readPayload(r.payload[:0], r.from, int(length)); err != nil {
		return nil, 0, fmt.Errorf("read frame of kind %d: %w", kind, err)
	}
	size := 1 + varintLen(length) + len(r.payload)
	if !known {
		return nil, size, nil
	}
	payload := r.payload
	if first&flagS2 != 0 {
		if r.unpacked, err = unpack(r.unpacked, payload, limit); err != nil {
			return nil, 0, err
		}
		payload = r.unpacked
	}
	m, err := r.decode(kind, payload)
	if err != nil {
		return nil, 0, fmt.Errorf("%w of kind %d: %w", ErrBadFrame, kind, err)
	}
	return m, size, nil
}

// trim lets go of what is too large to be kept.
func (r *Reader) trim() {
	if cap(r.payload) > keptBytes {
		r.payload = nil
	}
	if cap(r.unpacked) > keptBytes {
		r.unpacked = nil
	}
	if max(cap(r.rows), cap(r.deletions), cap(r.answer.Deltas), cap(r.want.Items), cap(r.announce.Items)) > keptItems {
		r.rows, r.deletions, r.answer.Deltas, r.want.Items, r.announce.Items = nil, nil, nil, nil, nil
	}
}

// limitOf returns how long a payload of this kind may be, and whether the kind
// is known.
func limitOf(kind frameKind) (limit int, known bool) {
	if int(kind) < len(maxPayload) && maxPayload[kind] > 0 {
		return maxPayload[kind], true
	}
	return maxUnknown, false
}

func varintLen(n uint64) int {
	var b [binary.MaxVarintLen64]byte
	return binary.PutUvarint(b[:], n)
}

// readPayload appends n bytes to payload, which is empty; memory grows with what
// has really come, so that a length alone cannot make a node allocate.
func readPayload(payload []byte, from io.Reader, n int) ([]byte, error) {
	const step = 96 << 10 // most frames of whole blocks are shorter
	if cap(payload) < min(n, step) {
		payload = make([]byte, 0, min(n, step))
	}
	for len(payload) < n {
		if len(payload) == cap(payload) {
			payload = append(make([]byte, 0, min(n, 2*cap(payload))), payload...)
		}
		done := len(payload)
		payload = payload[:min(n, cap(payload))]
		if _, err := io.ReadFull(from, payload[done:]); err != nil {
			return nil, err
		}
	}
	return payload, nil
}

// unpack returns the decompressed payload, in the memory of into where it fits.
func unpack(into, payload []byte, limit int) ([]byte, error) {
	n, err := s2.DecodedLen(payload)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadFrame, err)
	}
	if n > limit {
		return nil, fmt.Errorf("%w: it unpacks to %d bytes, at most %d are allowed", ErrBadFrame, n, limit)
	}
	out, err := s2.Decode(into[:cap(into)], payload)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadFrame, err)
	}
	return out, nil
}
