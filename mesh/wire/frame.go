package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

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
var maxPayload = map[frameKind]int{
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
	if limit := maxPayload[m.kind()]; len(payload) > limit {
		return buf[:start], fmt.Errorf("append frame of kind %d: %d bytes, at most %d are allowed", kind, len(payload), limit)
	}
	if len(payload) > compressAbove && hasWhole(m) {
		if packed := s2.Encode(nil, payload); len(packed) < len(payload) {
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

// ReadFrame reads one frame and returns its message and its length in bytes.
// It returns a nil message for a kind that this version does not know.
func ReadFrame(r Source) (Message, int, error) {
	first, err := r.ReadByte()
	if err != nil {
		return nil, 0, fmt.Errorf("read frame: %w", err)
	}
	kind := frameKind(first &^ flagS2)
	length, err := binary.ReadUvarint(r)
	if err != nil {
		return nil, 0, fmt.Errorf("read frame of kind %d: %w", kind, err)
	}
	limit, known := maxPayload[kind]
	if !known {
		limit = maxUnknown
	}
	if length > uint64(limit) { // not negative
		return nil, 0, fmt.Errorf("%w: kind %d is %d bytes long, at most %d are allowed", ErrBadFrame, kind, length, limit)
	}
	payload, err := readPayload(r, int(length))
	if err != nil {
		return nil, 0, fmt.Errorf("read frame of kind %d: %w", kind, err)
	}
	size := 1 + varintLen(length) + len(payload)
	if !known {
		return nil, size, nil
	}
	if first&flagS2 != 0 {
		if payload, err = unpack(payload, limit); err != nil {
			return nil, 0, err
		}
	}
	m, err := decodePayload(kind, payload)
	if err != nil {
		return nil, 0, fmt.Errorf("%w of kind %d: %w", ErrBadFrame, kind, err)
	}
	return m, size, nil
}

func varintLen(n uint64) int {
	var b [binary.MaxVarintLen64]byte
	return binary.PutUvarint(b[:], n)
}

// readPayload reads n bytes; memory grows with what has really come, so that a
// length alone cannot make a node allocate.
func readPayload(r io.Reader, n int) ([]byte, error) {
	const step = 64 << 10
	payload := make([]byte, 0, min(n, step))
	for len(payload) < n {
		if len(payload) == cap(payload) {
			payload = append(make([]byte, 0, min(n, 2*cap(payload))), payload...)
		}
		from := len(payload)
		payload = payload[:cap(payload)]
		if _, err := io.ReadFull(r, payload[from:]); err != nil {
			return nil, err
		}
	}
	return payload, nil
}

func unpack(payload []byte, limit int) ([]byte, error) {
	n, err := s2.DecodedLen(payload)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadFrame, err)
	}
	if n > limit {
		return nil, fmt.Errorf("%w: it unpacks to %d bytes, at most %d are allowed", ErrBadFrame, n, limit)
	}
	out, err := s2.Decode(nil, payload)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadFrame, err)
	}
	return out, nil
}
