package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// errBody is wrapped by every error of a body that cannot be read.
var errBody = errors.New("malformed body")

// field is one field of a Protocol Buffers message, read in place.
type field struct {
	number int
	typ    fieldType
	value  uint64 // of a varint
	bytes  []byte // of typeBytes
}

type fieldType uint8

// The wire types of Protocol Buffers; groups are not among those that are read.
const (
	typeVarint  fieldType = 0
	typeFixed64 fieldType = 1
	typeBytes   fieldType = 2
	typeFixed32 fieldType = 5
)

// maxField is the highest field number that Protocol Buffers know.
const maxField = 1<<29 - 1

// nextField reads the field at the start of b and returns what is behind it.
// Bodies are read by hand because a filter over the whole fleet reads a
// million of them: this takes a few nanoseconds a field and allocates nothing.
func nextField(b []byte) (field, []byte, error) {
	if len(b) >= 2 && b[0]-8 < 0x80-8 && b[1] < 0x80 { // a tag and a number or length of one byte each
		switch n := int(b[1]); fieldType(b[0] & 7) {
		case typeVarint:
			return field{number: int(b[0] >> 3), typ: typeVarint, value: uint64(n)}, b[2:], nil
		case typeBytes:
			if n += 2; n <= len(b) {
				return field{number: int(b[0] >> 3), typ: typeBytes, bytes: b[2:n:n]}, b[n:], nil
			}
		default: // anyField reads it
		}
	}
	return anyField(b)
}

// fieldEnd is nextField for the number of the field at b[at] and where it ends:
// before 0 where it cannot be read.
func fieldEnd(b []byte, at int) (number, end int) {
	var f field
	end = f.read(b, at)
	return f.number, end
}

// read is nextField for the field at b[at], and where it ends.
func (f *field) read(b []byte, at int) (end int) {
	tag, end := shortVarint(b, at)
	value, end := shortVarint(b, end)
	switch {
	case end < 0, tag < 8, tag>>3 > maxField: // anyField reads it
	case tag&7 == int(typeVarint):
		f.number, f.typ, f.value = tag>>3, typeVarint, uint64(value) // not negative
		return end
	case tag&7 == int(typeBytes) && value <= len(b)-end:
		f.number, f.typ, f.bytes = tag>>3, typeBytes, b[end:end+value:end+value]
		return end + value
	}
	next, rest, err := anyField(b[at:])
	if err != nil {
		return -1
	}
	*f = next
	return len(b) - len(rest)
}

// shortVarint returns the varint at b[at] and where it ends, before 0 for one
// that is longer than seven bytes or not there.
func shortVarint(b []byte, at int) (v, end int) {
	for shift := 0; uint(at) < uint(len(b)) && shift < 49; shift += 7 {
		c := int(b[at])
		v |= c & 0x7f << shift
		if at++; c < 0x80 {
			return v, at
		}
	}
	return 0, -1
}

func anyField(b []byte) (field, []byte, error) {
	tag, b, ok := varint(b)
	f := field{number: int(tag >> 3 & (maxField<<1 | 1)), typ: fieldType(tag & 7)}
	if !ok || tag>>3 == 0 || tag>>3 > maxField {
		return f, nil, fmt.Errorf("tag %d: %w", tag, errBody)
	}
	skip := uint64(0)
	switch f.typ {
	case typeVarint:
		if f.value, b, ok = varint(b); !ok {
			return f, nil, fmt.Errorf("field %d: %w", f.number, errBody)
		}
		return f, b, nil
	case typeBytes:
		if skip, b, ok = varint(b); !ok || skip > uint64(len(b)) {
			return f, nil, fmt.Errorf("field %d: %w", f.number, errBody)
		}
		f.bytes = b[:skip:skip]
	case typeFixed64:
		skip = 8
	case typeFixed32:
		skip = 4
	default:
		return f, nil, fmt.Errorf("field %d of type %d: %w", f.number, f.typ, errBody)
	}
	if skip > uint64(len(b)) {
		return f, nil, fmt.Errorf("field %d: %w", f.number, errBody)
	}
	return f, b[skip:], nil
}

func varint(b []byte) (uint64, []byte, bool) {
	if len(b) > 0 && b[0] < 0x80 {
		return uint64(b[0]), b[1:], true
	}
	if len(b) > 1 && b[1] < 0x80 {
		return uint64(b[0]&0x7f) | uint64(b[1])<<7, b[2:], true
	}
	v, n := binary.Uvarint(b)
	if n <= 0 {
		return 0, nil, false
	}
	return v, b[n:], true
}

// appendVarint appends a field that is a varint, nothing for 0.
func appendVarint(buf []byte, number int, v uint64) []byte {
	if v == 0 {
		return buf
	}
	buf = binary.AppendUvarint(buf, uint64(number)<<3|uint64(typeVarint))
	return binary.AppendUvarint(buf, v)
}

// appendBytes appends a field of bytes or text, also an empty one.
func appendBytes[T string | []byte](buf []byte, number int, v T) []byte {
	buf = binary.AppendUvarint(buf, uint64(number)<<3|uint64(typeBytes))
	buf = binary.AppendUvarint(buf, uint64(len(v)))
	return append(buf, v...)
}

// appendString appends a field of text, nothing for the empty one.
func appendString(buf []byte, number int, s string) []byte {
	if s == "" {
		return buf
	}
	return appendBytes(buf, number, text(s))
}

// appendInline appends a field that is a Text, nothing for the empty one.
func appendInline(buf []byte, number int, s string) []byte {
	if s == "" {
		return buf
	}
	var space [160]byte
	return appendBytes(buf, number, appendText(space[:0], s))
}
