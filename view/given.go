package view

import (
	"maps"
	"slices"

	"grapevine/fleet"
)

// GivenUp returns the hosts that somebody declared dead or had forgotten.
func (v *View) GivenUp() []fleet.HostID {
	v.refresh()
	v.mu.RLock()
	defer v.mu.RUnlock()
	return slices.Collect(maps.Keys(v.decided.dead))
}
