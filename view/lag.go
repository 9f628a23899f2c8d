package view

import (
	"context"
	"slices"

	"grapevine/fleet"
)

// Lag returns how old this node's view of each host is, the oldest first, and
// sums the ages up.
func (v *View) Lag(context.Context) (fleet.Lag, error) {
	v.refresh()
	now := v.cfg.Now()
	v.mu.RLock()
	lag := fleet.Lag{Rows: make([]fleet.LagRow, 0, len(v.standings)), Coverage: v.coverage}
	for b := range v.cfg.Source.Replica().Blocks() {
		if v.decided.gone[b.HostID()] {
			continue
		}
		host := v.host(b, now)
		lag.Rows = append(lag.Rows, fleet.LagRow{
			Host: host.ID, HostName: host.Name, AgeMS: host.AgeMS, Reachability: host.Reachability, Version: b.Version(),
		})
	}
	v.mu.RUnlock()
	slices.SortFunc(lag.Rows, fleet.OlderFirst)
	heard, known := make([]int64, 0, len(lag.Rows)), make([]int64, 0, len(lag.Rows))
	for i := range lag.Rows {
		row := &lag.Rows[i]
		if row.Wanted = v.cfg.Source.Wanted(row.Host); !row.Wanted.IsZero() {
			lag.Behind++
		}
		known = append(known, row.AgeMS)
		if isHeard(row.Reachability) {
			heard = append(heard, row.AgeMS)
		}
	}
	lag.Heard, lag.Known = fleet.AgesOf(heard), fleet.AgesOf(known)
	return lag, nil
}

// isHeard reports whether a host that is shown so can be heard, whether or not
// its hypervisor answers it.
func isHeard(r fleet.Reachability) bool {
	return r == fleet.ReachOK || r == fleet.ReachHypervisorUnreachable
}

// ages returns the ages of all hosts with a block and not forgotten, in milliseconds: of those
// that can be heard, and of all. It decodes nothing.
func (v *View) ages() (heard, known []int64) {
	v.refresh()
	now := v.cfg.Now()
	v.mu.RLock()
	defer v.mu.RUnlock()
	heard, known = make([]int64, 0, len(v.standings)), make([]int64, 0, len(v.standings))
	for id, s := range v.standings {
		if v.decided.gone[id] {
			continue
		}
		age := v.age(id, now)
		known = append(known, age)
		if s.reach == fleet.ReachOK {
			heard = append(heard, age)
		}
	}
	return heard, known
}
