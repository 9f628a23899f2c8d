package view

import (
	"context"
	"time"

	"grapevine/fleet"
)

// inStatus is a member's status and when this node first saw it so.
type inStatus struct {
	status fleet.MemberStatus
	since  time.Time
}

// sinceWhen returns since when each member has its status: as before where it
// is the same, else now. Members that are forgotten fall out.
func sinceWhen(before map[fleet.UUID]inStatus, members []fleet.Member, now time.Time) map[fleet.UUID]inStatus {
	after := make(map[fleet.UUID]inStatus, len(members))
	for _, m := range members {
		held, known := before[m.ID]
		if !known || held.status != m.Status {
			held = inStatus{m.Status, now}
		}
		after[m.ID] = held
	}
	return after
}

// Members returns the members of the mesh as this node's failure detector sees
// them, with since when, ordered by id.
func (v *View) Members(context.Context) (fleet.List[fleet.Member], error) {
	v.refresh()
	now := v.cfg.Now()
	members := v.cfg.Source.Members()
	v.mu.RLock()
	for i := range members {
		m := &members[i]
		held, known := v.since[m.ID]
		if !known || held.status != m.Status {
			held.since = now // it changed after the refresh
		}
		m.Since, m.SinceMS = held.since, max(now.Sub(held.since).Milliseconds(), 0)
	}
	v.mu.RUnlock()
	for i := range members {
		if members[i].Name == "" {
			members[i].Name = v.HostName(members[i].ID)
		}
	}
	return withCoverage(v, members), nil
}
