package view

import (
	"cmp"
	"fmt"
	"slices"

	"grapevine/fleet"
)

// pageBounds reads the query's limit and marker.
func pageBounds(q fleet.InstanceQuery) (limit int, after fleet.InstanceID, err error) {
	if limit, err = pageLimit(q.Limit); err != nil || q.Marker == "" {
		return limit, after, err
	}
	after, err = fleet.ParseUUID(q.Marker)
	if err != nil {
		return 0, after, &fleet.Error{Code: fleet.CodeInvalid, Detail: fmt.Sprintf("marker %.80q is not an instance id; give the \"next\" of the page before", q.Marker)}
	}
	return limit, after, nil
}

// pageLimit returns how many rows a page has where so many are asked for, or 0
// for as many as it likes.
func pageLimit(asked int) (int, error) {
	if asked < 0 || asked > fleet.MaxPage {
		return 0, &fleet.Error{Code: fleet.CodeInvalid, Detail: fmt.Sprintf("limit is %d; it must be 1 to %d", asked, fleet.MaxPage)}
	}
	return cmp.Or(asked, fleet.DefaultPage), nil
}

// checkState judges the state filter.
func checkState(state fleet.Power) error {
	known := []fleet.Power{"", fleet.PowerRunning, fleet.PowerPaused, fleet.PowerSuspended, fleet.PowerStopped, fleet.PowerCrashed, fleet.PowerUnknown}
	if slices.Contains(known, state) {
		return nil
	}
	return &fleet.Error{Code: fleet.CodeInvalid, Detail: fmt.Sprintf("state %.40q is not one of running, paused, suspended, stopped, crashed, unknown", string(state))}
}

// owner returns which of the rows of one id owns it: one that no other
// supersedes, of a host that nobody declared dead, where there is such a one; of
// those that their
// hypervisor says are running, the one with the highest generation; with none
// running, the highest generation of all. Among equals the lower host id, so
// that every node says the same. It returns -1 for no rows.
func owner(rows []fleet.Instance) int {
	best := -1
	for i := range rows {
		if best < 0 || owns(&rows[i], &rows[best]) {
			best = i
		}
	}
	return best
}

func owns(a, b *fleet.Instance) bool {
	aRuns, bRuns := a.Power == fleet.PowerRunning, b.Power == fleet.PowerRunning
	switch {
	case a.SupersededBy.IsZero() != b.SupersededBy.IsZero():
		return a.SupersededBy.IsZero()
	case a.HostDeclaredDead != b.HostDeclaredDead:
		return b.HostDeclaredDead
	case aRuns != bRuns:
		return aRuns
	case a.Generation != b.Generation:
		return a.Generation > b.Generation
	default:
		return a.Host.Compare(b.Host) < 0
	}
}
