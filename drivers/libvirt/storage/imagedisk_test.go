package storage

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"testing"

	"grapevine/drivers"
	"grapevine/fleet"
)

func TestDisksThatNameOtherFilesAreRefused(t *testing.T) {
	qcow := func(backing, features uint64) []byte {
		b := append([]byte("QFI\xfb"), make([]byte, 100)...)
		binary.BigEndian.PutUint32(b[4:], 3)
		binary.BigEndian.PutUint64(b[8:], backing)
		binary.BigEndian.PutUint64(b[24:], 1<<30)
		binary.BigEndian.PutUint64(b[72:], features)
		return b
	}
	vmdk := func(sectors uint64, description string) []byte {
		b := append([]byte("KDMV"), make([]byte, 1<<10-4)...)
		binary.LittleEndian.PutUint64(b[12:], sectors)
		binary.LittleEndian.PutUint64(b[28:], 1)
		binary.LittleEndian.PutUint64(b[36:], 1)
		copy(b[512:], description)
		return b
	}
	for what, tt := range map[string]struct {
		format  string
		virtual int64
		head    []byte
		ok      bool
	}{
		"qcow2":                   {"qcow2", 1 << 30, qcow(0, 0), true},
		"qcow2, backing file":     {"qcow2", 1 << 30, qcow(104, 0), false},
		"qcow2, external data":    {"qcow2", 1 << 30, qcow(0, 4), false},
		"qcow2, larger than said": {"qcow2", 1<<30 - 1, qcow(0, 0), false},
		"qcow2 that is not":       {"qcow2", 1 << 30, []byte("short"), false},
		"raw":                     {"raw", 5, []byte("short"), true},
		"raw, larger than said":   {"raw", 4, []byte("short"), false},
		"raw that looks like one": {"raw", 1 << 30, qcow(104, 0), true},
		"vmdk":                    {"vmdk", 1 << 20, vmdk(2048, "createType=monolithicSparse"), true},
		"vmdk, parent":            {"vmdk", 1 << 20, vmdk(2048, "parentFileNameHint=/etc/shadow"), false},
		"vmdk, flat description":  {"vmdk", 1 << 20, []byte("# Disk DescriptorFile\nRW 1 FLAT \"/etc/shadow\" 0"), false},
		"vmdk, extents elsewhere": {"vmdk", 1 << 20, vmdk(0, `RW 1 FLAT "/etc/shadow" 0`), false},
	} {
		f := fleet.ImageFile{Role: fleet.RoleDisk, Format: tt.format, Bytes: int64(len(tt.head)), VirtualBytes: tt.virtual}
		r := bufio.NewReaderSize(bytes.NewReader(tt.head), headBytes)
		err := checkDisk(f, r)
		if (err == nil) != tt.ok || err != nil && !errors.Is(err, drivers.ErrBadImage) {
			t.Errorf("%s: got %v", what, err)
		}
		if rest, _ := io.ReadAll(r); err == nil && !bytes.Equal(rest, tt.head) {
			t.Errorf("%s: looking at the disk has changed it", what)
		}
	}
}
