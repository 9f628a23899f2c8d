package esxi

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode"

	"github.com/vmware/govmomi/vim25/types"

	"grapevine/drivers"
	"grapevine/fleet"
)

// The keys of a Mark in a machine's extra configuration.
const (
	markKey       = "grapevine.mark"
	generationKey = "grapevine.generation"
)

// markOptions is a Mark as it is written onto a machine.
func markOptions(mark drivers.Mark) ([]types.BaseOptionValue, error) {
	text, err := encodeMark(mark)
	if err != nil {
		return nil, err
	}
	return []types.BaseOptionValue{
		&types.OptionValue{Key: markKey, Value: text},
		&types.OptionValue{Key: generationKey, Value: strconv.FormatUint(mark.Generation, 10)},
	}, nil
}

// encodeMark writes a Mark as JSON.
func encodeMark(mark drivers.Mark) (string, error) {
	text, err := json.Marshal(mark)
	if err != nil {
		return "", fmt.Errorf("encode mark: %w", err)
	}
	return escaped(string(text)), nil
}

// escaped is JSON of ASCII alone: an option ends up in a line of the machine's
// .vmx file, whose encoding is the host's business.
func escaped(text string) string {
	var b strings.Builder
	for _, r := range text {
		switch {
		case r < unicode.MaxASCII:
			b.WriteRune(r)
		case r <= 0xffff:
			fmt.Fprintf(&b, `\u%04x`, r)
		default: // beyond the basic plane JSON writes two surrogates
			r -= 0x10000
			fmt.Fprintf(&b, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		}
	}
	return b.String()
}

// decodeMark reads what is written on the machine with this id: nil when that
// is no Mark, or the Mark of another machine.
func decodeMark(id fleet.InstanceID, mark, generation string) *drivers.Mark {
	var m drivers.Mark
	if mark == "" || json.Unmarshal([]byte(mark), &m) != nil || m.ID != id {
		return nil
	}
	if n, err := strconv.ParseUint(generation, 10, 64); err == nil {
		m.Generation = n
	}
	return &m
}

// maxDisplayName bounds a display name; ESXi takes 80 characters.
const maxDisplayName = 40

// displayName is the name under which the host shows a machine: like the
// Mark's, but of letters and digits that are safe in file names, and unique by
// the beginning of the id.
func displayName(mark drivers.Mark) string {
	var b strings.Builder
	n := 0
	for _, r := range mark.Name {
		if n++; n > maxDisplayName {
			break
		}
		if r < unicode.MaxASCII && (unicode.IsLetter(r) || unicode.IsDigit(r) || r == '.' || r == '_') {
			b.WriteRune(r)
		} else {
			b.WriteByte('-')
		}
	}
	return strings.Trim(b.String(), "-.") + "-" + mark.ID.String()[:8]
}
