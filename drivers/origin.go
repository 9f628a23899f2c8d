package drivers

import (
	"errors"
	"fmt"
	"slices"

	"grapevine/fleet"
)

// FeatureCopyDisks says that Build knows Spec.Origins.
const FeatureCopyDisks Feature = fleet.TraitCopyDisks

// Origin is what a new disk begins as: a copy of another disk, which depends on
// nothing once it is made. The zero Origin is none.
type Origin struct {
	// Machine is a managed machine that is stopped, and stays so until Build has
	// returned; Disk is the one of its disks that is copied, with all that it lies
	// upon.
	Machine fleet.InstanceID
	Disk    string
	// Image, where there is no Machine, is an image that is there and has a disk.
	Image fleet.Image
}

// IsZero reports whether it is none.
func (o *Origin) IsZero() bool { return o.Machine.IsZero() && o.Image.ID == "" }

// Origin is that of the disk with this number, from 0.
func (s *Spec) Origin(number int) *Origin {
	if number < len(s.Origins) {
		return &s.Origins[number]
	}
	return &Origin{}
}

// originable says why the origins are none for such a machine.
func (s *Spec) originable(features []Feature) error {
	for n := range s.Origins {
		o := s.Origin(n)
		switch _, disk := o.Image.File(fleet.RoleDisk); {
		case o.IsZero():
		case !slices.Contains(features, FeatureCopyDisks):
			return fmt.Errorf("%w: disks that begin as copies of others", ErrUnsupported)
		case n == 0 && s.DiskGiB() == 0, n > len(s.Disks):
			return errors.New("a copy is asked for of a disk that the machine is not to have")
		case o.Machine.IsZero() && !disk:
			return fmt.Errorf("image %.12s, of which a disk is to be a copy, has no disk", o.Image.ID)
		}
	}
	return nil
}
