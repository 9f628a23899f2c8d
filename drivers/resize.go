package drivers

import (
	"context"
	"fmt"

	"grapevine/fleet"
)

const (
	// FeatureResize says that the driver is a Resizer.
	FeatureResize Feature = "resize"
	// FeatureResizeLive says that the driver is a LiveResizer.
	FeatureResizeLive Feature = "resize-live"
)

// Resizer is a driver that gives machines another size.
type Resizer interface {
	// Resize gives a managed machine that is stopped this size, and this mark
	// with it. A disk grows and never shrinks; its partitions are the guest's
	// business. A machine that has the size already gets the mark. One that is
	// not stopped is an error, and nothing is changed, but see LiveResizer.
	Resize(ctx context.Context, id fleet.InstanceID, size fleet.Resources, mark Mark) error
}

// LiveResizer is a Resizer whose Resize gives a machine that runs more than it
// has, too, as far as that machine can take it. What a guest does with it is the
// guest's business.
type LiveResizer interface {
	Resizer
	// ResizableLive says why a managed machine that runs would not get this size
	// from Resize, with ErrUnsupported, or ErrForeign or ErrNotFound; nil where it
	// would, and where it does not run. It changes nothing.
	ResizableLive(ctx context.Context, id fleet.InstanceID, size fleet.Resources) error
}

// Resizable says why a stopped machine cannot get this size, whatever the
// hypervisor.
func Resizable(m *Machine, size fleet.Resources) error {
	if m.Mark != nil && m.Power != fleet.PowerStopped {
		return fmt.Errorf("the machine is %s; only a stopped one is resized", m.Power)
	}
	return enlargeable(m, size)
}

// ResizableLive is Resizable where machines that run are given more: what a
// guest uses is not taken from it.
func ResizableLive(m *Machine, size fleet.Resources) error {
	switch {
	case m.Mark == nil || m.Power != fleet.PowerRunning:
		return Resizable(m, size)
	case size.VCPUs < m.Resources.VCPUs:
		return Unfit("it runs with %d vCPUs, and takes more but gives none back", m.Resources.VCPUs)
	case size.MemoryMiB < m.Resources.MemoryMiB:
		return Unfit("it runs with %d MiB of memory, and takes more but gives none back", m.Resources.MemoryMiB)
	default:
		return enlargeable(m, size)
	}
}

// enlargeable judges the disk.
func enlargeable(m *Machine, size fleet.Resources) error {
	switch {
	case m.Mark == nil:
		return ErrForeign
	case size.DiskGiB < m.Resources.DiskGiB:
		return Unfit("its disk of %d GiB cannot shrink to %d", m.Resources.DiskGiB, size.DiskGiB)
	case m.Resources.DiskGiB == 0 && size.DiskGiB > 0:
		return Unfit("it has no disk that could grow")
	default:
		return nil
	}
}
