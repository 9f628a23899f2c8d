package wire

import (
	"encoding/hex"
	"fmt"
	"strings"
	"unicode/utf8"

	"grapevine/fleet"
)

// KindText is a row of a block's string table: a page of what other rows of
// the block name by number instead of saying it themselves. Kinds below 16 are
// facts, from here on they serve other rows. Key: the page, from 0, 2 bytes
// big-endian.
const KindText Kind = 16

// PageEntries is how many entries a page has: entry n, from 1, is on page
// (n-1)/PageEntries. A new entry sends its page again, so it is small.
const PageEntries = 16

// MaxEntries is the highest number of an entry that a page can be found for.
const MaxEntries = 1 << 16 * PageEntries

// PageKey returns the key of a page of the table.
func PageKey(page int) Key { return Key{KindText, string([]byte{byte(page >> 8), byte(page)})} } // two bytes hold it

// PageOf returns the page that is the id of a row of the table, and false for
// what is none.
func PageOf(id string) (int, bool) {
	if len(id) != 2 {
		return 0, false
	}
	return int(id[0])<<8 | int(id[1]), true
}

// Table is the string table of a block. Entry returns the entry with this
// number, an encoded Text or Label, and false where there is none.
type Table interface {
	Entry(number uint64) ([]byte, bool)
}

const pageEntry = 1 // the field of a page

// EncodePage returns the body of a page with these entries; an empty one is a
// number that is free.
func EncodePage(entries []string) []byte {
	var b []byte
	for _, e := range entries {
		b = appendBytes(b, pageEntry, e)
	}
	return b
}

// PageEntry returns the entry in this place of a page, from 0, and false for a
// number that is free.
func PageEntry(body []byte, place int) (entry []byte, ok bool) {
	for place > 0 && len(body) >= 2 && body[0] == pageEntry<<3|byte(typeBytes) && body[1] < 0x80 && int(body[1])+2 <= len(body) {
		body = body[int(body[1])+2:] // nearly all are such
		place--
	}
	for len(body) > 0 && place >= 0 {
		f, rest, err := nextField(body)
		if err != nil {
			return nil, false
		}
		if f.number == pageEntry && f.typ == typeBytes {
			entry = f.bytes
			place--
		}
		body = rest
	}
	return entry, place < 0 && len(entry) > 0
}

// EachEntry calls f with every entry of a page that PageEntry finds.
func EachEntry(body []byte, f func(place int, entry []byte)) {
	for place := 0; len(body) > 0 && place < PageEntries; {
		field, rest, err := nextField(body)
		if err != nil {
			return
		}
		if field.number == pageEntry && field.typ == typeBytes {
			if len(field.bytes) > 0 {
				f(place, field.bytes)
			}
			place++
		}
		body = rest
	}
}

// The fields of the message Text, of which one is set.
const (
	textPlain = 1
	textHex   = 2 // lower-case hexadecimal digits, two to a byte
	textUUID  = 3 // the 36-character form, 16 bytes
)

// EncodeText returns the encoding of s, in the shortest form. It replaces what
// is not UTF-8.
func EncodeText(s string) []byte { return appendText(nil, s) }

func appendText(buf []byte, s string) []byte {
	var raw [64]byte
	switch {
	case len(s) == 36:
		if u, err := fleet.ParseUUID(s); err == nil && u.String() == s {
			return appendBytes(buf, textUUID, u[:])
		}
	case len(s) >= 16 && len(s) <= 2*len(raw) && len(s)%2 == 0 && strings.ToLower(s) == s:
		if n, err := hex.Decode(raw[:], []byte(s)); err == nil {
			return appendBytes(buf, textHex, raw[:n])
		}
	}
	return appendBytes(buf, textPlain, text(s))
}

// readText returns the text that b encodes. It aliases b where it can.
func readText(b []byte) (string, error) {
	number, value, err := textValue(b)
	switch {
	case err != nil:
		return "", err
	case number == textHex:
		return hex.EncodeToString(value), nil
	case number == textUUID:
		return fleet.UUID(value).String(), nil
	default:
		return inPlace(value), nil
	}
}

// IsPage reports whether b is a page that can be read.
func IsPage(b []byte) bool {
	for len(b) > 0 {
		var err error
		if _, b, err = nextField(b); err != nil {
			return false
		}
	}
	return true
}

// textValue returns which field of a text is set, the last one of those that
// are, and to what.
func textValue(b []byte) (number int, value []byte, err error) {
	for len(b) > 0 {
		var f field
		if f, b, err = nextField(b); err != nil {
			return 0, nil, err
		}
		if f.number >= textPlain && f.number <= textUUID && f.typ == typeBytes {
			number, value = f.number, f.bytes
		}
	}
	if number == textUUID && len(value) != 16 || number <= textPlain && !utf8.Valid(value) {
		return 0, nil, fmt.Errorf("text of %d bytes: %w", len(value), errBody)
	}
	return number, value, nil
}

// isASCII reports whether b is text of the plainest kind.
func isASCII(b []byte) bool {
	all := byte(0)
	for _, c := range b {
		all |= c
	}
	return all < 0x80
}

// textForm writes out, without allocating, what readText would return: space
// has room for the longer of its forms that are not in b itself.
func textForm(space *[128]byte, b []byte) ([]byte, error) {
	number, value, err := textValue(b)
	switch {
	case err != nil:
		return nil, err
	case number == textHex && len(value) <= len(space)/2:
		return space[:hex.Encode(space[:], value)], nil
	case number == textHex:
		return hex.AppendEncode(nil, value), nil
	case number == textUUID:
		u := fleet.UUID(value)
		return u.Append(space[:0]), nil
	default:
		return value, nil
	}
}

// lookUp returns the entry of the table that a reference names.
func lookUp(texts Table, number uint64) ([]byte, error) {
	if texts != nil {
		if b, ok := texts.Entry(number); ok {
			return b, nil
		}
	}
	return nil, fmt.Errorf("entry %d is not in the block's table: %w", number, errBody)
}
