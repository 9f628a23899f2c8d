package drivers

import (
	"context"
	"errors"
	"fmt"

	"grapevine/fleet"
)

// FeatureRescue says that the driver is a Rescuer.
const FeatureRescue Feature = "rescue"

// ErrRescued says that what is asked for would be lost, or get in the way, when the
// machine's rescue ends.
var ErrRescued = errors.New("the machine is rescued; end that first")

// Rescuer is a driver that boots a machine from another image, with its own
// disks attached, so that they can be mended.
type Rescuer interface {
	// Rescue makes a managed machine that is stopped boot from an image the next
	// time, and whenever it is started until Unrescue: from a disk made for it, a
	// kernel or a CD, as the image has it. All that the machine has stays
	// attached, but that the CD may take another's place in its drive. The disk is in no list of devices and counts for nothing in the
	// machine's size. What the machine was is kept by the hypervisor, with the
	// mark, which has its Rescue set; that and the change take place at one moment,
	// so that it can be cut short anywhere, and done again. A machine that is
	// rescued so already is left alone; one that is by another image is
	// ErrRescued; one without a disk of its own, or that was not built from an
	// image, is ErrUnsupported.
	Rescue(ctx context.Context, id fleet.InstanceID, im fleet.Image, mark Mark) error
	// Unrescue makes a managed machine that is stopped what it was before its
	// rescue, with this mark, and removes what the rescue made. Of one that is not
	// rescued only what a rescue cut short has left is removed.
	Unrescue(ctx context.Context, id fleet.InstanceID, mark Mark) error
}

// Rescued says, in a Mark, how its machine is rescued; the zero value that it
// is not.
type Rescued struct {
	Image string      `json:"image"` // that it boots
	Power fleet.Power `json:"power"` // that it had before
}

// Is reports whether the machine is rescued.
func (r Rescued) Is() bool { return r.Image != "" }

// Rescuable says why a machine cannot be rescued, whatever the hypervisor.
func Rescuable(m *Machine, hasFirst bool, im *fleet.Image) error {
	_, disk := im.File(fleet.RoleDisk)
	switch {
	case m.Mark == nil:
		return ErrForeign
	case m.Mark.Rescue.Is():
		return fmt.Errorf("%w: by image %.12s", ErrRescued, m.Mark.Rescue.Image)
	case m.Mark.Image == "":
		return Unfit("it was adopted, and what it boots is not known")
	case !hasFirst:
		return Unfit("it has no disk that could be mended")
	case disk && im.ID == m.Mark.Image:
		return Unfit("image %s is what its own disk was made from, and a guest could not tell the two disks apart", im.Name)
	default:
		return StoppedFor(m, "rescued")
	}
}

// StoppedFor says that a machine is on, where it is to be stopped to be done to
// what verb says.
func StoppedFor(m *Machine, verb string) error {
	if m.Power != fleet.PowerStopped && m.Power != fleet.PowerCrashed {
		return fmt.Errorf("the machine is %s; only a stopped one is %s", m.Power, verb)
	}
	return nil
}
