package drivers

import (
	"context"
	"fmt"

	"grapevine/fleet"
)

// FeatureResize says that the driver is a Resizer.
const FeatureResize Feature = "resize"

// Resizer is a driver that gives machines another size.
type Resizer interface {
	// Resize gives a managed machine that is stopped this size, and this mark
	// with it. A disk grows and never shrinks; its partitions are the guest's
	// business. A machine that has the size already gets the mark. One that is
	// not stopped is an error, and nothing is changed.
	Resize(ctx context.Context, id fleet.InstanceID, size fleet.Resources, mark Mark) error
}

// Resizable says why a machine cannot get this size, whatever the hypervisor.
func Resizable(m *Machine, size fleet.Resources) error {
	switch {
	case m.Mark == nil:
		return ErrForeign
	case m.Power != fleet.PowerStopped:
		return fmt.Errorf("the machine is %s; only a stopped one is resized", m.Power)
	case size.DiskGiB < m.Resources.DiskGiB:
		return fmt.Errorf("%w: its disk of %d GiB cannot shrink to %d", ErrUnsupported, m.Resources.DiskGiB, size.DiskGiB)
	case m.Resources.DiskGiB == 0 && size.DiskGiB > 0:
		return fmt.Errorf("%w: it has no disk that could grow", ErrUnsupported)
	default:
		return nil
	}
}
