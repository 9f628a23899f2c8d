package libvirt

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"strings"
	"unicode/utf16"

	"grapevine/drivers"
	"grapevine/fleet"
)

// The Mark's place in a domain's <metadata>: one element in a name space of
// our own, with the Mark as JSON in it.
const (
	markSpace   = "urn:grapevine:instance:1"
	markPrefix  = "grapevine"
	markElement = "instance"
)

// encodeMark returns the element as libvirt takes it when it adds the name
// space by itself.
func encodeMark(mark drivers.Mark) (string, error) {
	text, err := markText(mark)
	return "<" + markElement + ">" + text + "</" + markElement + ">", err
}

// encodeSpacedMark returns the element as it stands in a domain's XML.
func encodeSpacedMark(mark drivers.Mark) (string, error) {
	text, err := markText(mark)
	name := markPrefix + ":" + markElement
	return "<" + name + " xmlns:" + markPrefix + `="` + markSpace + `">` + text + "</" + name + ">", err
}

// markText is JSON of printable ASCII alone, without a character that XML
// would escape or refuse: not every name that people may give can stand in XML
// as it is.
func markText(mark drivers.Mark) (string, error) {
	raw, err := json.Marshal(mark) // escapes < > & by itself
	if err != nil {
		return "", fmt.Errorf("encode mark: %w", err)
	}
	var b strings.Builder
	for _, r := range string(raw) {
		switch {
		case r < 0x7f:
			b.WriteRune(r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String(), nil
}

// decodeMark reads the Mark of the machine with this id out of its metadata.
// It is nil where there is none, where it cannot be read, and where it is
// another machine's: a clone made by hand carries its original's.
func decodeMark(metadata []byte, id fleet.InstanceID) *drivers.Mark {
	decoder := xml.NewDecoder(bytes.NewReader(metadata))
	for {
		token, err := decoder.Token()
		if err != nil {
			return nil
		}
		start, ok := token.(xml.StartElement)
		if !ok || start.Name.Local != markElement || start.Name.Space != markSpace {
			continue
		}
		var text string
		var mark drivers.Mark
		if decoder.DecodeElement(&text, &start) != nil || json.Unmarshal([]byte(text), &mark) != nil || mark.ID != id {
			return nil
		}
		return &mark
	}
}

// printable replaces what XML cannot carry, for a domain's title.
func printable(name string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0xfffe || r == 0xffff {
			return '?'
		}
		return r
	}, name)
}

// domainName is the name of a machine's domain: the instance's, as far as a
// file name may go, and the first digits of its id. Names must be unique on a
// hypervisor, instances' are not.
func domainName(name string, id fleet.InstanceID, digits int) string {
	plain := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '_':
			return r
		default:
			return '-'
		}
	}, name)
	plain = strings.Trim(plain[:min(len(plain), 40)], "-.")
	if plain == "" {
		plain = "instance"
	}
	return plain + "-" + strings.ReplaceAll(id.String(), "-", "")[:digits]
}
