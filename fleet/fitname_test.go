package fleet

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// A manifest or an offer that another party wrote may call a device anything:
// that is refused, and does not end who reads it.
func TestPartsOfTooLongANameAreRefused(t *testing.T) {
	device := strings.Repeat("d", 3*MaxNameBytes)
	e := Export{Format: ExportFormat, Instance: ExportedInstance{Name: "web"}, Files: []ExportedFile{
		{Name: "a.raw", Device: device, ImageFile: ImageFile{Role: RoleDisk, Format: FormatRaw, SHA256: strings.Repeat("ab", 32), Bytes: 1}},
	}}
	e.ID, _ = ExportID(&e)
	if err := e.Validate(); err == nil {
		t.Error("an export with such a device is taken")
	}
	m := Move{
		ID: OperationID(UUID{1}, 4), Source: UUID{1}, To: UUID{2}, Generation: 2, Mark: []byte("{}"),
		Request: Request{Name: "web"}, Disks: []MovedDisk{{Device: device, ImageFile: e.Files[0].ImageFile}},
	}
	if err := m.Validate(); err == nil {
		t.Error("a move with such a device is taken")
	}
}

func TestNameIsFittedBetweenItsLetters(t *testing.T) {
	for cut := range 4 {
		got := fitName(strings.Repeat("é", MaxNameBytes/2), strings.Repeat("x", 4+cut))
		if len(got) > MaxNameBytes || !utf8.ValidString(got) {
			t.Errorf("fitted to %d bytes: %q", len(got), got)
		}
	}
}
