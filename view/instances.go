package view

import (
	"context"
	"time"

	"grapevine/fleet"
	"grapevine/mesh/replica"
)

// Instances returns a page of instances, ordered by id; the copies of a twin
// are all shown, ordered by host. Only rows of the page are decoded.
func (v *View) Instances(_ context.Context, q fleet.InstanceQuery) (fleet.List[fleet.Instance], error) {
	limit, after, err := pageBounds(q)
	if err != nil {
		return fleet.List[fleet.Instance]{}, err
	}
	if err := checkState(q.State); err != nil {
		return fleet.List[fleet.Instance]{}, err
	}
	query := replica.Query{Project: q.Project, Name: q.Name, Power: q.State, Labels: q.Labels, After: after, Limit: limit}
	if q.Host != "" {
		if query.Host, err = v.HostNamed(q.Host); err != nil {
			return fleet.List[fleet.Instance]{}, err
		}
	}
	query.Without = v.goneNow()
	found, more := v.cfg.Source.Replica().Page(query)
	out := fleet.List[fleet.Instance]{Items: v.decode(found, query.Without)}
	if more {
		out.Next = found[len(found)-1].ID().String()
	}
	v.mu.RLock()
	defer v.mu.RUnlock()
	out.Coverage = v.coverage
	return out, nil
}

// decode returns the rows as readers see them, without those of hosts that are
// gone.
func (v *View) decode(found []replica.Found, gone map[fleet.HostID]bool) []fleet.Instance {
	now := v.cfg.Now()
	rows := make([]fleet.Instance, 0, len(found))
	for _, f := range found {
		if gone[f.Block.HostID()] {
			continue
		}
		if row, ok := f.Instance(); ok {
			v.overlayInstance(f.Block, &row, now)
			rows = append(rows, row)
		}
	}
	return rows
}

// Instance returns one instance. Where several hosts show it, the row returned
// is that of its owner; a list shows them all.
func (v *View) Instance(_ context.Context, id fleet.InstanceID) (fleet.Instance, error) {
	gone := v.goneNow()
	rows := v.decode(v.cfg.Source.Replica().Find(id), gone)
	i := owner(rows)
	if i < 0 {
		return fleet.Instance{}, fleet.NoInstance(id)
	}
	return rows[i], nil
}

// overlayInstance fills in what the row has from its host.
func (v *View) overlayInstance(b *replica.Block, row *fleet.Instance, now time.Time) {
	host, ok := b.Host()
	if !ok {
		host.ID = b.HostID()
	}
	v.mu.RLock()
	defer v.mu.RUnlock()
	row.Reachability, row.ReachabilitySince = v.reachOf(&host)
	row.AgeMS = v.age(host.ID, now)
	row.HostName = host.Name
	_, row.HostDeclaredDead = v.decided.dead[host.ID]
	for _, intent := range v.facts.index.Intents(row.ID) {
		if intent.Means(row) && v.facts.index.Standing(&intent, v.account(host.ID)) == fleet.RecordStands {
			row.DeleteIntent = &intent
		}
	}
}
