package diskhead_test

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"grapevine/internal/diskhead"
)

// qcow2 is the header of a qcow2 file for a disk of size bytes.
func qcow2(version uint32, backing, size uint64) string {
	head := make([]byte, 104)
	copy(head, "QFI\xfb")
	binary.BigEndian.PutUint32(head[4:], version)
	binary.BigEndian.PutUint64(head[8:], backing)
	binary.BigEndian.PutUint64(head[24:], size)
	return string(head)
}

// vhd is a file with the footer of a VHD of this type.
func vhd(kind uint32, size uint64) string {
	file := make([]byte, 1024)
	copy(file[512:], "conectix")
	binary.BigEndian.PutUint64(file[512+48:], size)
	binary.BigEndian.PutUint32(file[512+60:], kind)
	return string(file)
}

func elsewhere() string {
	head := []byte(qcow2(3, 0, 1<<20))
	head[79] = 4
	return string(head)
}

func TestDiskHeaders(t *testing.T) {
	vmdk := make([]byte, 512)
	copy(vmdk, "KDMV")
	binary.LittleEndian.PutUint64(vmdk[12:], 2048)
	for _, c := range []struct {
		name, content, format string
		virtual               int64
		want                  string
	}{
		{"qcow2", qcow2(3, 0, 5<<30), "qcow2", 5 << 30, ""},
		{"old qcow2", qcow2(2, 0, 1<<20), "qcow2", 1 << 20, ""},
		{"layer", qcow2(3, 99, 5<<30), "", 0, "layer over another file"},
		{"version", qcow2(9, 0, 5<<30), "", 0, "qcow2 of version 9"},
		{"torn", qcow2(3, 0, 5<<30)[:20], "", 0, "ends within its qcow2 header"},
		{"absurd", qcow2(3, 0, 1<<63), "", 0, "which cannot be"},
		{"vmdk", string(vmdk), "vmdk", 1 << 20, ""},
		{"vmdk description", "# Disk DescriptorFile\nversion=1", "", 0, "only the description"},
		{"packed", "\x1f\x8b\x08 and so on", "", 0, "unpack it with: gunzip"},
		{"vhd", vhd(3, 3<<20), "vhd", 3 << 20, ""},
		{"vhd layer", vhd(4, 3<<20), "", 0, "VHD layer over another file"},
		{"absurd vhd", vhd(2, 0), "", 0, "which cannot be"},
		{"qcow2 with data elsewhere", elsewhere(), "", 0, "data is in another file"},
		{"raw", "anything", "raw", 8, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			format, virtual, err := diskhead.Read(bytes.NewReader([]byte(c.content)), int64(len(c.content)))
			if c.want != "" {
				if err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("got %v, want %q", err, c.want)
				}
				return
			}
			if err != nil || format != c.format || virtual != c.virtual {
				t.Errorf("got %s, %d, %v; want %s, %d", format, virtual, err, c.format, c.virtual)
			}
		})
	}
}
