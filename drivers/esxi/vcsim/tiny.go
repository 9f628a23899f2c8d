package vcsim

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"

	"grapevine/fleet"
)

// sparseMagic begins every sparse VMDK, monolithic or stream-optimised.
const sparseMagic = "KDMV"

// The layout of the tiny disk, in sectors of 512 bytes: header, descriptor,
// two grain directories of one entry, each before its one grain table.
const (
	sector         = 512
	tinyCapacity   = 2048 // 1 MiB
	tinyGrain      = 128
	descriptorAt   = 1
	descriptorSize = 20
	spareDirectory = descriptorAt + descriptorSize
	spareTable     = spareDirectory + 1
	tableSectors   = 4 // 512 entries of 4 bytes
	directory      = spareTable + tableSectors
	table          = directory + 1
	overhead       = table + tableSectors
)

// TinyImage returns the image "tiny" for ESXi and its content: an empty disk
// of 1 MiB as a monolithic sparse VMDK of 16 KiB. It is a valid disk that
// boots nothing.
func TinyImage() (fleet.Image, []byte) {
	content := tinyDisk()
	sum := sha256.Sum256(content)
	f := fleet.ImageFile{
		Role: fleet.RoleDisk, SHA256: hex.EncodeToString(sum[:]), Bytes: int64(len(content)),
		Format: "vmdk", VirtualBytes: tinyCapacity * sector,
	}
	return fleet.Image{
		ID: f.SHA256, Name: "tiny", Files: []fleet.ImageFile{f}, Bytes: f.Bytes,
	}, content
}

func tinyDisk() []byte {
	disk := make([]byte, overhead*sector)
	copy(disk, tinyHeader())
	copy(disk[descriptorAt*sector:], tinyDescriptor())
	binary.LittleEndian.PutUint32(disk[spareDirectory*sector:], spareTable)
	binary.LittleEndian.PutUint32(disk[directory*sector:], table)
	return disk
}

// tinyHeader is the SparseExtentHeader of VMware's "Virtual Disk Format 1.1".
func tinyHeader() []byte {
	var b bytes.Buffer
	b.WriteString(sparseMagic)
	for _, v := range []any{
		uint32(1), // version
		uint32(3), // flags: the newline test is valid, the spare table is used
		uint64(tinyCapacity), uint64(tinyGrain), uint64(descriptorAt), uint64(descriptorSize),
		uint32(512), // entries in a grain table
		uint64(spareDirectory), uint64(directory), uint64(overhead),
		uint8(0),          // it was shut down cleanly
		[]byte("\n \r\n"), // the newline test
		uint16(0),         // not compressed
	} {
		_ = binary.Write(&b, binary.LittleEndian, v) // a bytes.Buffer takes all
	}
	return b.Bytes()
}

func tinyDescriptor() string {
	return fmt.Sprintf(`# Disk DescriptorFile
version=1
CID=67726170
parentCID=ffffffff
createType="monolithicSparse"

# Extent description
RW %d SPARSE "tiny.vmdk"

# The Disk Data Base
#DDB

ddb.virtualHWVersion = "4"
ddb.geometry.cylinders = "2"
ddb.geometry.heads = "16"
ddb.geometry.sectors = "63"
ddb.adapterType = "lsilogic"
`, tinyCapacity)
}
