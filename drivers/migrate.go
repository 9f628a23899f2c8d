package drivers

import (
	"context"

	"grapevine/fleet"
)

// FeatureMigrate says that machines of this hypervisor can be made anew at
// another one, with all that they have: the driver is a GuestTeller, a DiskReader
// and a DeviceKeeper, and its Build knows Spec.Origins.
const FeatureMigrate Feature = fleet.TraitMigrate

// GuestTeller is a driver that tells what cloud-init finds in a machine.
type GuestTeller interface {
	// Guest is what Build was given, or Rebuild since; the zero Guest where that is
	// nothing. No such machine is ErrNotFound. It may hold secrets.
	Guest(ctx context.Context, id fleet.InstanceID) (fleet.Guest, error)
}
