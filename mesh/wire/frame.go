package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/s2"

	"grapevine/fleet"
)

// A frame is: 4 bytes, the length of what follows, big-endian; 1 byte kind;
// 1 byte flags; the payload.
const (
	lengthBytes = 4
	headerBytes = lengthBytes + 2
	flagS2      = 1 // the payload is one s2 block
)

// maxPayload bounds the payload of each kind, before and after decompression.
// Rows and Announce: 10,000 hosts (fleet.MaxHosts) at most 40 B each, twice
// over. Want: far above the window of 256 items of at most 50 B. Answer: one
// block of the largest size, and what a batch may hold before it is added.
var maxPayload = map[frameKind]int{
	kindHello:    4 << 10,
	kindBye:      1 << 10,
	kindPing:     64,
	kindPong:     64,
	kindRoot:     64,
	kindBuckets:  4 << 10,
	kindRows:     1 << 20,
	kindAnnounce: 1 << 20,
	kindWant:     64 << 10,
	kindAnswer:   fleet.MaxBlockBytes + AnswerBatchBytes,
}

const (
	// AnswerBatchBytes is when an Answer is full: no further delta is added to
	// it. A single delta may be larger.
	AnswerBatchBytes = 256 << 10
	// AnswerBatchRows is the same, in rows and in deltas.
	AnswerBatchRows = 1024
	// compressAbove is the payload size from which whole blocks are compressed.
	compressAbove = 256
)

// ErrBadFrame is wrapped by every error of ReadFrame that is the peer's fault.
var ErrBadFrame = errors.New("bad frame")

// AppendFrame appends the frame of m to buf.
func AppendFrame(buf []byte, m Message) ([]byte, error) {
	payload, flags := encodeMessage(m), byte(0)
	if len(payload) > compressAbove && hasWhole(m) {
		if packed := s2.Encode(nil, payload); len(packed) < len(payload) {
			if len(payload) > maxPayload[m.kind()] {
				return buf, fmt.Errorf("append frame of kind %d: %d bytes, at most %d are allowed", m.kind(), len(payload), maxPayload[m.kind()])
			}
			payload, flags = packed, flagS2
		}
	}
	if len(payload) > maxPayload[m.kind()] {
		return buf, fmt.Errorf("append frame of kind %d: %d bytes, at most %d are allowed", m.kind(), len(payload), maxPayload[m.kind()])
	}
	buf = binary.BigEndian.AppendUint32(buf, uint32(len(payload)+headerBytes-lengthBytes)) // bounded by maxPayload
	buf = append(buf, byte(m.kind()), flags)
	return append(buf, payload...), nil
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

// ReadFrame reads one frame and returns its message and its length in bytes.
// It returns a nil message for a kind that this version does not know.
func ReadFrame(r io.Reader) (Message, int, error) {
	var header [headerBytes]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return nil, 0, fmt.Errorf("read frame: %w", err)
	}
	length := int(binary.BigEndian.Uint32(header[:])) - (headerBytes - lengthBytes)
	kind, flags := frameKind(header[lengthBytes]), header[lengthBytes+1]
	limit, known := maxPayload[kind]
	if !known {
		limit = 1 << 20
	}
	if length < 0 || length > limit {
		return nil, 0, fmt.Errorf("%w: kind %d is %d bytes long, at most %d are allowed", ErrBadFrame, kind, length, limit)
	}
	payload, err := readPayload(r, length)
	if err != nil {
		return nil, 0, fmt.Errorf("read frame of kind %d: %w", kind, err)
	}
	if !known {
		return nil, headerBytes + length, nil
	}
	if flags&flagS2 != 0 {
		if payload, err = unpack(payload, limit); err != nil {
			return nil, 0, err
		}
	}
	m, err := decodeMessage(kind, payload)
	if err != nil {
		return nil, 0, fmt.Errorf("%w of kind %d: %w", ErrBadFrame, kind, err)
	}
	return m, headerBytes + length, nil
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
