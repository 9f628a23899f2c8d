package libvirt

import (
	golibvirt "github.com/digitalocean/go-libvirt"

	"grapevine/fleet"
)

// powerOf puts a domain's state and its reason into the fleet's words.
func powerOf(state, reason int32) fleet.Power {
	switch golibvirt.DomainState(state) {
	case golibvirt.DomainRunning, golibvirt.DomainBlocked, golibvirt.DomainShutdown:
		return fleet.PowerRunning // a guest on its way down still runs
	case golibvirt.DomainPaused:
		return pausedOf(golibvirt.DomainPausedReason(reason))
	case golibvirt.DomainPmsuspended:
		return fleet.PowerSuspended
	case golibvirt.DomainCrashed:
		return fleet.PowerCrashed
	case golibvirt.DomainShutoff:
		if golibvirt.DomainShutoffReason(reason) == golibvirt.DomainShutoffCrashed {
			return fleet.PowerCrashed
		}
		return fleet.PowerStopped
	default:
		return fleet.PowerUnknown
	}
}

// pausedOf tells a machine that someone paused from one that QEMU holds for a
// moment while it starts or ends, and from one that is beyond resuming.
func pausedOf(reason golibvirt.DomainPausedReason) fleet.Power {
	switch reason {
	case golibvirt.DomainPausedStartingUp, golibvirt.DomainPausedShuttingDown:
		return fleet.PowerRunning
	case golibvirt.DomainPausedCrashed:
		return fleet.PowerCrashed
	default:
		return fleet.PowerPaused
	}
}
