package esxi

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"grapevine/drivers"
	"grapevine/fleet"
)

func TestMarkIsWrittenInASCII(t *testing.T) {
	id := fleet.UUID{1}
	mark := drivers.Mark{ID: id, Name: "é 日本 🍇 \u007f \"<>", Labels: map[string]string{"ключ": "🍇"}, Generation: 3}
	text, err := encodeMark(mark)
	if err != nil {
		t.Fatal(err)
	}
	if strings.ContainsFunc(text, func(r rune) bool { return r >= utf8.RuneSelf || r < ' ' }) {
		t.Errorf("not plain ASCII: %q", text)
	}
	if diff := cmp.Diff(&mark, decodeMark(id, text, "3")); diff != "" {
		t.Errorf("round trip (-want +got):\n%s", diff)
	}
}

func TestMarkOfAnotherMachineIsNotBelieved(t *testing.T) {
	text, err := encodeMark(drivers.Mark{ID: fleet.UUID{1}, Name: "original"})
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		id   fleet.InstanceID
		mark string
	}{"a copy's": {fleet.UUID{2}, text}, "none": {fleet.UUID{1}, ""}, "broken": {fleet.UUID{1}, text[:10]}} {
		if got := decodeMark(tt.id, tt.mark, "1"); got != nil {
			t.Errorf("%s: got %+v, want none", name, got)
		}
	}
}

func TestGenerationKeyOutranksTheMark(t *testing.T) {
	text, err := encodeMark(drivers.Mark{ID: fleet.UUID{1}, Generation: 1})
	if err != nil {
		t.Fatal(err)
	}
	for generation, want := range map[string]uint64{"7": 7, "": 1, "many": 1} {
		if got := decodeMark(fleet.UUID{1}, text, generation); got == nil || got.Generation != want {
			t.Errorf("key %q: got %+v, want generation %d", generation, got, want)
		}
	}
}

func TestDisplayNameIsSafeAndUnique(t *testing.T) {
	id := fleet.UUID{0xab, 0xcd, 0xef, 0x01}
	for name, want := range map[string]string{
		"web-1":                  "web-1-abcdef01",
		"../../etc/passwd":       "etc-passwd-abcdef01",
		"日本":                     "-abcdef01",
		strings.Repeat("n", 128): strings.Repeat("n", maxDisplayName) + "-abcdef01",
	} {
		if got := displayName(drivers.Mark{ID: id, Name: name}); got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
}

func TestHostIDIsTheHardwaresOrDerivedFromIt(t *testing.T) {
	const good = "4c4c4544-0044-4410-8054-b5c04f4d3132"
	if got := hostID(strings.ToUpper(good)).String(); got != good {
		t.Errorf("got %s, want the hardware's own", got)
	}
	seen := map[fleet.HostID]bool{}
	for _, bad := range []string{"", "Not Settable", "00000000-0000-0000-0000-000000000000", "4c4c4544"} {
		id := hostID(bad)
		if _, err := fleet.ParseUUID(id.String()); err != nil || id.IsZero() || id != hostID(bad) || seen[id] {
			t.Errorf("%q: got %s, %v; want a stable id of its own", bad, id, err)
		}
		seen[id] = true
	}
}
