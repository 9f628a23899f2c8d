package drivers

import (
	"context"
	"errors"

	"grapevine/fleet"
)

// FeatureRebuild says that the driver is a Rebuilder.
const FeatureRebuild Feature = "rebuild"

// ErrHasSnapshots says that what is asked for would take the disk away that the machine's
// snapshots lie in.
var ErrHasSnapshots = errors.New("the machine has snapshots, which lie in its first disk; delete them first")

// Rebuilder is a driver that makes the first disk of a machine anew.
type Rebuilder interface {
	// Rebuild makes the first disk of a managed machine that is stopped anew, as
	// large as it was, from an image, and tells cloud-init that it is to begin
	// from the start. Cards and further disks stay as they are. The new disk is
	// made beside the old one and takes its place, with the mark, at one moment:
	// on an error, and after a crash at any point, the machine is whole, with one
	// of them. Of a machine that carries the mark's Rebuilt already nothing is
	// changed, running or not; what a rebuild cut short has left is removed. One
	// that has snapshots is ErrHasSnapshots; one whose first disk Build did not
	// make, or is smaller than the image needs, is ErrUnsupported.
	Rebuild(ctx context.Context, id fleet.InstanceID, r Rebuild) error
}

// Rebuild is what a machine is to become.
type Rebuild struct {
	Image fleet.Image
	// Mark is what it carries afterwards: with the image's id, and Rebuilt raised.
	Mark Mark
	// Guest is what cloud-init is to find; as it was where it is nil.
	Guest *fleet.Guest
}

// Done reports whether the machine is rebuilt so already.
func (r *Rebuild) Done(mark *Mark) bool {
	return mark != nil && mark.Rebuilt == r.Mark.Rebuilt && mark.Image == r.Mark.Image
}

// Rebuildable says why a machine whose first disk has so many GiB cannot be
// rebuilt, whatever the hypervisor.
func Rebuildable(m *Machine, firstGiB int64, im *fleet.Image) error {
	switch {
	case m.Mark == nil:
		return ErrForeign
	case m.Mark.Rescue.Is():
		return ErrRescued
	}
	if err := StoppedFor(m, "rebuilt"); err != nil {
		return err
	}
	return Roomy(firstGiB, im)
}

// Roomy says why a first disk of so many GiB cannot hold what is in an image;
// 0 is that of a machine without one.
func Roomy(firstGiB int64, im *fleet.Image) error {
	if need := im.DiskGiB(); need > firstGiB {
		return Unfit("image %q needs a first disk of %d GiB, and the machine's has %d", im.Name, need, firstGiB)
	}
	return nil
}
