// Package autostart is the rule by which an agent brings machines up again after
// a reboot of its host. It is pure: what was seen before the host went down is an
// argument, and the agent journals what follows before it starts anything.
package autostart

import (
	"cmp"
	"slices"
	"time"

	"grapevine/fleet"
)

// Machine is a managed machine as it was last seen before its host went down.
type Machine struct {
	ID        fleet.InstanceID
	Autostart fleet.Autostart
	Order     int
	Ran       bool
	// DownSince is when one that did not run was seen to stop; zero where it was
	// never seen to.
	DownSince time.Time
	// Halted: an operator stopped it, and nobody started it since.
	Halted bool
	// Pending: it was to be started after the boot before, which did not last.
	Pending bool
}

// Plan returns which machines to start, in order. Alive is the host's last sign
// of life, by the clock that DownSince is of.
func Plan(machines []Machine, alive time.Time) []fleet.InstanceID {
	var wanted []*Machine
	for i := range machines {
		if wants(&machines[i], alive) {
			wanted = append(wanted, &machines[i])
		}
	}
	slices.SortFunc(wanted, func(a, b *Machine) int {
		return cmp.Or(cmp.Compare(fleet.Place(a.Order), fleet.Place(b.Order)), a.ID.Compare(b.ID))
	})
	ids := make([]fleet.InstanceID, len(wanted))
	for i, m := range wanted {
		ids[i] = m.ID
	}
	return ids
}

func wants(m *Machine, alive time.Time) bool {
	switch {
	case m.Halted, m.Autostart == fleet.AutostartNever:
		return false
	case m.Autostart == fleet.AutostartAlways, m.Ran, m.Pending:
		return true
	default: // it went off with its host
		return !m.DownSince.IsZero() && alive.Sub(m.DownSince) <= fleet.GoingDown
	}
}
