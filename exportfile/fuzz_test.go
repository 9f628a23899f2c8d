package exportfile_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"testing"

	"grapevine/exportfile"
	"grapevine/fleet"
	"grapevine/internal/allocated"
)

// An export is brought by an operator, from wherever it was. The target seals the
// manifest that it is given, for the engine cannot guess digests: what is then
// verified is valid, laid out where it is said to be, and the same file again.
func FuzzVerify(f *testing.F) {
	e, file := export(f)
	manifest, err := json.Marshal(e)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(file, manifest, []byte("first "), false)
	f.Add(file, manifest, []byte("second"), true)
	f.Add(file[:len(file)-1024], []byte(`{"format":1,"files":null}`), []byte{}, true)
	f.Fuzz(func(t *testing.T, file, manifest, content []byte, seal bool) {
		if seal {
			if file = sealed(manifest, content); file == nil {
				return
			}
		}
		var v exportfile.Verified
		var err error
		if took := allocated.Bytes(func() { v, err = exportfile.Verify(bytes.NewReader(file)) }); took > 64*uint64(len(file))+1<<20 {
			t.Errorf("a file of %d bytes takes %d", len(file), took)
		}
		if err != nil {
			return
		}
		if err := v.Validate(); err != nil || v.Bytes != int64(len(file)) || len(v.Offsets) != len(v.Files) {
			t.Fatalf("verified, and not whole: %v, %d of %d bytes", err, v.Bytes, len(file))
		}
		for i, f := range v.Files {
			sum := sha256.Sum256(file[v.Offsets[i]:][:f.Bytes])
			if hex.EncodeToString(sum[:]) != f.SHA256 {
				t.Errorf("%s does not lie at %d", f.Name, v.Offsets[i])
			}
		}
		first, err := exportfile.Manifest(bytes.NewReader(file))
		if err != nil || first.ID != v.ID {
			t.Errorf("its manifest alone is of %s: %v", first.ID, err)
		}
	})
}

// sealed is the file of the export that a manifest tells of, whose files all have
// the same content; nil where there is none.
func sealed(manifest, content []byte) []byte {
	var e fleet.Export
	if json.Unmarshal(manifest, &e) != nil || len(e.Files) > 8 {
		return nil
	}
	sum := sha256.Sum256(content)
	from := make([]io.ReaderAt, len(e.Files))
	for i := range e.Files {
		e.Files[i].SHA256, e.Files[i].Bytes = hex.EncodeToString(sum[:]), int64(len(content))
		from[i] = bytes.NewReader(content)
	}
	var err error
	if e.ID, err = fleet.ExportID(&e); err != nil {
		return nil
	}
	layout, err := exportfile.NewLayout(&e)
	if err != nil {
		return nil
	}
	file, err := io.ReadAll(io.NewSectionReader(layout.Reader(from), 0, layout.Size()))
	if err != nil {
		return nil
	}
	return file
}
