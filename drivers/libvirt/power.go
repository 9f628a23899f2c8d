package libvirt

import (
	golibvirt "github.com/digitalocean/go-libvirt"

	"grapevine/fleet"
)

// powerOf asks for a domain's state. One that lingers still runs, on its way
// down.
func (f *flavour) powerOf(rpc *golibvirt.Libvirt, dom golibvirt.Domain) (fleet.Power, error) {
	state, reason, err := rpc.DomainGetState(dom, 0)
	if err != nil {
		return fleet.PowerUnknown, err
	}
	power := powerOf(state, reason)
	if !f.lingers || power != fleet.PowerStopped {
		return power, nil
	}
	if active, err := rpc.DomainIsActive(dom); err != nil || active == 0 {
		return power, err
	}
	return fleet.PowerRunning, nil
}

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
