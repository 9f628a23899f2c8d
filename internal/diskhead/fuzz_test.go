package diskhead_test

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"grapevine/internal/allocated"
	"grapevine/internal/diskhead"
)

// Whoever uploads an image, or serves the address that one is fetched from,
// writes its head. What is told of it is one of the formats that can be used, or
// one sentence.
func FuzzRead(f *testing.F) {
	vmdk := make([]byte, 512)
	copy(vmdk, "KDMV")
	binary.LittleEndian.PutUint64(vmdk[12:], 2048)
	for _, seed := range []string{
		qcow2(3, 0, 5<<30), qcow2(2, 0, 1<<20), qcow2(3, 99, 5<<30), elsewhere(), string(vmdk), vhd(2, 3<<20), vhd(4, 3<<20),
		"# Disk DescriptorFile\nversion=1", "\x1f\x8b\x08", "anything",
	} {
		f.Add([]byte(seed), int64(len(seed)))
	}
	f.Fuzz(func(t *testing.T, content []byte, size int64) {
		var format string
		var virtual int64
		var err error
		// The size is what was announced: the content may be another.
		if took := allocated.Bytes(func() { format, virtual, err = diskhead.Read(bytes.NewReader(content), size) }); took > 1<<20 {
			t.Errorf("the head of %d bytes takes %d", len(content), took)
		}
		switch {
		case err != nil && (format != "" || virtual != 0 || strings.ContainsAny(err.Error(), "\n\x00")):
			t.Errorf("refused as %q with %q, %d", err, format, virtual)
		case err == nil && format == "raw" && virtual != size:
			t.Errorf("a raw disk of %d bytes is told as %d", size, virtual)
		case err == nil && format != "raw" && virtual <= 0:
			t.Errorf("a %s disk of %d bytes is taken", format, virtual)
		}
	})
}
