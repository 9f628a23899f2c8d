package exportfile_test

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"testing"

	"grapevine/exportfile"
	"grapevine/fleet"
)

// export is an export of two disks, and its whole file.
func export(tb testing.TB) (fleet.Export, []byte) {
	tb.Helper()
	contents := [][]byte{bytes.Repeat([]byte("first "), 1000), []byte("second")}
	e := fleet.Export{Format: fleet.ExportFormat, Instance: fleet.ExportedInstance{Name: "web", VCPUs: 1, MemoryMiB: 64}}
	for i, name := range []string{"disk-0", "disk-1"} {
		sum := sha256.Sum256(contents[i])
		e.Files = append(e.Files, fleet.ExportedFile{
			Name: name + ".raw", Device: name, SizeGiB: 1,
			ImageFile: fleet.ImageFile{Role: fleet.RoleDisk, Format: fleet.FormatRaw, SHA256: hex.EncodeToString(sum[:]), Bytes: int64(len(contents[i]))},
		})
	}
	var err error
	if e.ID, err = fleet.ExportID(&e); err != nil {
		tb.Fatal(err)
	}
	layout, err := exportfile.NewLayout(&e)
	if err != nil {
		tb.Fatal(err)
	}
	r := layout.Reader([]io.ReaderAt{bytes.NewReader(contents[0]), bytes.NewReader(contents[1])})
	file, err := io.ReadAll(io.NewSectionReader(r, 0, layout.Size()))
	if err != nil || int64(len(file)) != layout.Size() {
		tb.Fatalf("%d bytes of %d, %v", len(file), layout.Size(), err)
	}
	for at := range file { // from anywhere on it is the same
		part := make([]byte, min(700, len(file)-at))
		if _, err := r.ReadAt(part, int64(at)); err != nil || !bytes.Equal(part, file[at:at+len(part)]) {
			tb.Fatalf("from %d on it is another file (%v)", at, err)
		}
	}
	return e, file
}

func TestFileIsAPlainArchiveWithItsManifestFirst(t *testing.T) {
	e, file := export(t)
	var names []string
	archive := tar.NewReader(bytes.NewReader(file))
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, header.Name)
	}
	if len(names) != 3 || names[0] != "export.json" || names[1] != "disk-0.raw" || names[2] != "disk-1.raw" {
		t.Errorf("entries %v", names)
	}
	v, err := exportfile.Verify(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(file)
	if v.ID != e.ID || v.SHA256 != hex.EncodeToString(sum[:]) || v.Bytes != int64(len(file)) {
		t.Errorf("verified %+v", v)
	}
	if at := v.Offsets[1]; string(file[at:at+6]) != "second" {
		t.Errorf("at %d there is %q", at, file[at:at+6])
	}
}

func TestDamagedFileIsRefused(t *testing.T) {
	_, file := export(t)
	inDisk := bytes.Index(file, []byte("second"))
	inManifest := bytes.Index(file, []byte(`"web"`)) + 1
	for what, damage := range map[string]func() []byte{
		"a byte of a disk":       func() []byte { b := bytes.Clone(file); b[inDisk] ^= 1; return b },
		"a byte of the manifest": func() []byte { b := bytes.Clone(file); b[inManifest] = 'v'; return b },
		"cut off":                func() []byte { return file[:inDisk+3] },
		"cut off before a disk":  func() []byte { return file[:inDisk-512] },
		"empty":                  func() []byte { return nil },
		"something else":         func() []byte { return []byte("no archive at all") },
	} {
		if v, err := exportfile.Verify(bytes.NewReader(damage())); err == nil {
			t.Errorf("%s: verified as %+v", what, v)
		}
	}
}
