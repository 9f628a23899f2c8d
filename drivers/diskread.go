package drivers

import (
	"context"
	"fmt"
	"io"

	"grapevine/fleet"
)

// FeatureReadDisks says that the driver is a DiskReader.
const FeatureReadDisks Feature = fleet.TraitReadDisks

// DiskReader is a driver that reads out what the disks of machines hold.
type DiskReader interface {
	// ReadDisk reads a disk of a managed machine that is stopped, whole and by
	// itself: what it lies upon, an image or snapshots, is in it. One that is not
	// stopped is an error, for what its guest has not written yet would be
	// missing; the caller keeps it stopped until the content is closed. No such
	// machine or disk is ErrNotFound. The content takes a copy on the hypervisor's
	// storage, which goes when it is closed, and, where a crash has left it, with
	// the next call for this machine or its Delete. Ctx ends it too.
	ReadDisk(ctx context.Context, id fleet.InstanceID, disk string) (*DiskContent, error)
	// Firmware is what a machine starts with, which a machine with a copy of its
	// disks needs too; empty for the usual one.
	Firmware(ctx context.Context, id fleet.InstanceID) (fleet.Firmware, error)
}

// DiskContent is the content of a disk, as one file that stands alone.
type DiskContent struct {
	// ReadCloser reads the file. It ends with io.EOF only where it was whole.
	io.ReadCloser
	// Format is one of fleet's.
	Format string
	// Bytes is how long the file is, 0 where that is not known beforehand.
	Bytes int64
}

// Readable says why the disks of a machine cannot be read, whatever the
// hypervisor.
func Readable(m *Machine) error {
	switch {
	case m.Mark == nil:
		return ErrForeign
	case m.Power != fleet.PowerStopped:
		return fmt.Errorf("the machine is %s; only the disks of a stopped one are read", m.Power)
	default:
		return nil
	}
}
