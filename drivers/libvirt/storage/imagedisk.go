package storage

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"grapevine/drivers"
	"grapevine/fleet"
)

// headBytes is how much of a disk is looked at: the header of each format and
// the description that a VMDK has behind it.
const headBytes = 64 << 10

// checkDisk judges a disk by its first bytes, which it leaves unread. Its
// format must be the one that the manifest says, its size no larger, and it
// must stand alone: a disk that names other files would let whoever made the
// image read any file of the host from inside a guest.
func checkDisk(f fleet.ImageFile, r *bufio.Reader) error {
	head, err := r.Peek(headBytes)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	virtual, err := guestSize(f, head)
	if err == nil && virtual > f.VirtualBytes {
		err = fmt.Errorf("it is %d bytes large for a guest, the manifest says %d", virtual, f.VirtualBytes)
	}
	if err != nil {
		return fmt.Errorf("%w: the disk: %w", drivers.ErrBadImage, err)
	}
	return nil
}

// guestSize is the size that a guest sees of a disk that begins with head.
func guestSize(f fleet.ImageFile, head []byte) (int64, error) {
	switch f.Format {
	case "qcow2":
		return qcow2Size(head)
	case "vmdk":
		return vmdkSize(head)
	default:
		return f.Bytes, nil
	}
}

// qcow2Size reads a qcow2 header (docs/interop/qcow2.txt of QEMU).
func qcow2Size(head []byte) (int64, error) {
	const externalData = 1 << 2 // incompatible feature bit
	if len(head) < 72 || !bytes.HasPrefix(head, []byte("QFI\xfb")) {
		return 0, errors.New("it is not qcow2")
	}
	version := binary.BigEndian.Uint32(head[4:])
	if binary.BigEndian.Uint64(head[8:]) != 0 {
		return 0, errors.New("it has a backing file; flatten it with: qemu-img convert -O qcow2")
	}
	if version >= 3 && len(head) >= 80 && binary.BigEndian.Uint64(head[72:])&externalData != 0 {
		return 0, errors.New("its data is in another file; flatten it with: qemu-img convert -O qcow2")
	}
	return int64(binary.BigEndian.Uint64(head[24:])), nil
}

// vmdkSize reads the header of a VMDK that is one sparse file (VMware's
// Virtual Disk Format 5.0).
func vmdkSize(head []byte) (int64, error) {
	const sector = 512
	if len(head) < sector || !bytes.HasPrefix(head, []byte("KDMV")) {
		return 0, errors.New("it is not a VMDK of one sparse file")
	}
	capacity := binary.LittleEndian.Uint64(head[12:])
	at, length := binary.LittleEndian.Uint64(head[28:]), binary.LittleEndian.Uint64(head[36:])
	if capacity == 0 || capacity > fleet.MaxDiskGiB<<21 || at > headBytes/sector || length > headBytes/sector ||
		(at+length)*sector > uint64(len(head)) {
		return 0, errors.New("its description is not where it can be checked; convert it with: qemu-img convert -O vmdk")
	}
	if bytes.Contains(head[at*sector:(at+length)*sector], []byte("parentFileNameHint")) {
		return 0, errors.New("it has a parent disk; flatten it with: qemu-img convert -O vmdk")
	}
	return int64(capacity) * sector, nil
}
