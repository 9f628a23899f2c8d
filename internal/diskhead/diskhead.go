// Package diskhead reads the first bytes of a disk's file: which format it has
// and how large a disk a guest sees of it.
package diskhead

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
)

// sectorBytes is the unit in which VMDK counts.
const sectorBytes = 512

// Read tells which format a disk file has and how large a disk the guest
// sees of it. It refuses what could not be used elsewhere: a qcow2 file that
// needs another one beside it, and one that is compressed as a whole.
func Read(file io.ReaderAt, bytesLong int64) (format string, virtual int64, err error) {
	head := make([]byte, sectorBytes)
	n, err := file.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return "", 0, fmt.Errorf("read header: %w", err)
	}
	head = head[:n]
	switch {
	case bytes.HasPrefix(head, []byte("QFI\xfb")):
		return qcow2Header(head)
	case bytes.HasPrefix(head, []byte("KDMV")):
		return vmdkHeader(head)
	case bytes.HasPrefix(head, []byte("# Disk DescriptorFile")):
		return "", 0, errors.New("is only the description of a VMDK whose content is in other files; make one file of it with: qemu-img convert -O vmdk -o subformat=streamOptimized")
	case packer(head) != "":
		return "", 0, fmt.Errorf("is compressed; unpack it with: %s", packer(head))
	default:
		return vhdOrRaw(file, bytesLong)
	}
}

// packer names what unpacks a file that begins so, if it is packed.
func packer(head []byte) string {
	for magic, unpack := range map[string]string{"\x1f\x8b": "gunzip", "\xfd7zXZ\x00": "unxz", "BZh": "bunzip2", "\x28\xb5\x2f\xfd": "unzstd"} {
		if bytes.HasPrefix(head, []byte(magic)) {
			return unpack
		}
	}
	return ""
}

// externalData is the bit among the features at 72 that says that the data is in
// another file.
const externalData = 1 << 2

// vhdOrRaw looks at the last 512 bytes, where every VHD has its footer: its
// size at 48 and its type at 60, big-endian.
func vhdOrRaw(file io.ReaderAt, bytesLong int64) (string, int64, error) {
	const fixed, dynamic = 2, 3
	foot := make([]byte, sectorBytes)
	if _, err := file.ReadAt(foot, bytesLong-sectorBytes); bytesLong < 2*sectorBytes || err != nil && !errors.Is(err, io.EOF) || !bytes.HasPrefix(foot, []byte("conectix")) {
		return "raw", bytesLong, nil
	}
	size, kind := binary.BigEndian.Uint64(foot[48:]), binary.BigEndian.Uint32(foot[60:])
	switch {
	case kind != fixed && kind != dynamic:
		return "", 0, errors.New("is a VHD layer over another file; make one file of it with: qemu-img convert -O vpc")
	case size == 0 || size > math.MaxInt64:
		return "", 0, fmt.Errorf("is VHD for a disk of %d bytes, which cannot be; fetch it again", size)
	}
	return "vhd", int64(size), nil
}

// qcow2Header reads version, backing file and size: big-endian, at 4, 8 and 24.
func qcow2Header(head []byte) (string, int64, error) {
	if len(head) < 32 {
		return "", 0, errors.New("ends within its qcow2 header; fetch it again")
	}
	version := binary.BigEndian.Uint32(head[4:])
	size := binary.BigEndian.Uint64(head[24:])
	switch {
	case version != 2 && version != 3:
		return "", 0, fmt.Errorf("is qcow2 of version %d; convert it with: qemu-img convert -O qcow2", version)
	case binary.BigEndian.Uint64(head[8:]) != 0:
		return "", 0, errors.New("is a qcow2 layer over another file; make one file of it with: qemu-img convert -O qcow2")
	case version == 3 && len(head) >= 80 && binary.BigEndian.Uint64(head[72:])&externalData != 0:
		return "", 0, errors.New("is qcow2 whose data is in another file; make one file of it with: qemu-img convert -O qcow2")
	case size == 0 || size > math.MaxInt64:
		return "", 0, fmt.Errorf("is qcow2 for a disk of %d bytes, which cannot be; fetch it again", size)
	}
	return "qcow2", int64(size), nil
}

// vmdkHeader reads the capacity of a sparse extent: little-endian, in sectors,
// at 12.
func vmdkHeader(head []byte) (string, int64, error) {
	if len(head) < 20 {
		return "", 0, errors.New("ends within its VMDK header; fetch it again")
	}
	sectors := binary.LittleEndian.Uint64(head[12:])
	if sectors == 0 || sectors > math.MaxInt64/sectorBytes {
		return "", 0, fmt.Errorf("is VMDK for a disk of %d sectors, which cannot be; fetch it again", sectors)
	}
	return "vmdk", int64(sectors) * sectorBytes, nil
}
