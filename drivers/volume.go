package drivers

import (
	"context"

	"grapevine/fleet"
)

// Volume is a piece of storage that was made for a machine.
type Volume struct {
	Machine fleet.InstanceID // for which it was made, whether or not it is there
	Name    string           // as people at the host find it
}

// VolumeLister is a driver that tells which storage was made for machines, so
// that what belongs to none can be found. It changes nothing.
type VolumeLister interface {
	// Volumes lists all volumes that Build, or what is done to a machine later,
	// has made: disks, seeds, copies that are being read.
	Volumes(ctx context.Context) ([]Volume, error)
}
