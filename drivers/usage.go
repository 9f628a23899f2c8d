package drivers

import (
	"context"

	"grapevine/fleet"
)

// FeatureUsage says that the driver is Metered.
const FeatureUsage Feature = "usage"

// Metered is a driver that tells what machines use.
type Metered interface {
	// Usage returns the usage of every machine, foreign ones included, that runs
	// or is paused; others have none. It asks the hypervisor once, or a few times
	// at most, however many machines there are.
	Usage(ctx context.Context) (map[fleet.InstanceID]fleet.Usage, error)
}
