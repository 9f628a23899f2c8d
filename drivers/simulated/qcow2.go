package simulated

import "encoding/binary"

// emptyQCOW2 is a disk of this size that holds nothing, as a qcow2 file of
// version 3 (docs/interop/qcow2.txt of QEMU): one cluster each for the header, the
// refcount table and the one block that it names, and then the L1 table, which
// maps nothing.
func emptyQCOW2(size int64) []byte {
	const (
		clusterBits = 16
		cluster     = 1 << clusterBits
		perEntry    = cluster / 8 * cluster // bytes of the disk that one L1 entry maps
	)
	entries := (size + perEntry - 1) / perEntry
	tables := (entries*8 + cluster - 1) / cluster
	disk := make([]byte, (3+tables)*cluster)
	copy(disk, "QFI\xfb")
	put32 := func(at int, v uint32) { binary.BigEndian.PutUint32(disk[at:], v) }
	put64 := func(at int, v uint64) { binary.BigEndian.PutUint64(disk[at:], v) }
	put32(4, 3)
	put32(20, clusterBits)
	put64(24, uint64(size))
	put32(36, uint32(entries))
	put64(40, 3*cluster) // L1 table
	put64(48, cluster)   // refcount table
	put32(56, 1)         // of one cluster
	put32(96, 4)         // refcounts of 1<<4 bits
	put32(100, 104)      // length of the header
	put64(cluster, 2*cluster)
	for i := range 3 + int(tables) {
		binary.BigEndian.PutUint16(disk[2*cluster+2*i:], 1)
	}
	return disk
}
