package view

import (
	"fmt"
	"slices"

	"grapevine/fleet"
)

// matches reports whether the row passes the query's filters. Its host and the
// page's bounds are not looked at here.
func matches(q *fleet.InstanceQuery, row *fleet.Instance) bool {
	switch {
	case q.Project != "" && row.Project != q.Project,
		q.State != "" && row.Power != q.State,
		q.Name != "" && row.Name != q.Name:
		return false
	}
	for key, value := range q.Labels {
		if got, ok := row.Labels[key]; !ok || got != value {
			return false
		}
	}
	return true
}

// pageBounds reads the query's limit and marker.
func pageBounds(q fleet.InstanceQuery) (limit int, after fleet.InstanceID, err error) {
	switch {
	case q.Limit < 0 || q.Limit > fleet.MaxPage:
		return 0, after, &fleet.Error{Code: fleet.CodeInvalid, Detail: fmt.Sprintf("limit is %d; it must be 1 to %d", q.Limit, fleet.MaxPage)}
	case q.Limit == 0:
		limit = fleet.DefaultPage
	default:
		limit = q.Limit
	}
	if q.Marker == "" {
		return limit, after, nil
	}
	after, err = fleet.ParseUUID(q.Marker)
	if err != nil {
		return 0, after, &fleet.Error{Code: fleet.CodeInvalid, Detail: fmt.Sprintf("marker %.80q is not an instance id; give the \"next\" of the page before", q.Marker)}
	}
	return limit, after, nil
}

// checkState judges the state filter.
func checkState(state fleet.Power) error {
	known := []fleet.Power{"", fleet.PowerRunning, fleet.PowerPaused, fleet.PowerSuspended, fleet.PowerStopped, fleet.PowerCrashed, fleet.PowerUnknown}
	if slices.Contains(known, state) {
		return nil
	}
	return &fleet.Error{Code: fleet.CodeInvalid, Detail: fmt.Sprintf("state %.40q is not one of running, paused, suspended, stopped, crashed, unknown", string(state))}
}

// page cuts the ordered rows to the limit. The rows of one id stay together,
// so a page with a twin at its end is longer than the limit: the marker is an
// id, and a row left behind it would never be shown.
func page(rows []fleet.Instance, limit int) (items []fleet.Instance, next string) {
	end := min(limit, len(rows))
	for end > 0 && end < len(rows) && rows[end].ID == rows[end-1].ID {
		end++
	}
	if end < len(rows) {
		next = rows[end-1].ID.String()
	}
	return rows[:end], next
}

// owner returns which of the rows of one id owns it: of those that their
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
	case aRuns != bRuns:
		return aRuns
	case a.Generation != b.Generation:
		return a.Generation > b.Generation
	default:
		return a.Host.Compare(b.Host) < 0
	}
}
