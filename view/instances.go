package view

import (
	"context"
	"fmt"
	"time"

	"grapevine/fleet"
	"grapevine/mesh/replica"
)

// Instances returns a page of instances, ordered by id; the copies of a twin
// are all shown, ordered by host. Only rows from the marker on are decoded, and
// with no filter only those of the page.
func (v *View) Instances(_ context.Context, q fleet.InstanceQuery) (fleet.List[fleet.Instance], error) {
	limit, after, err := pageBounds(q)
	if err != nil {
		return fleet.List[fleet.Instance]{}, err
	}
	if err := checkState(q.State); err != nil {
		return fleet.List[fleet.Instance]{}, err
	}
	walk := newWalk(after)
	if q.Host == "" {
		for b := range v.cfg.Source.Replica().Blocks() {
			walk.add(b)
		}
	} else {
		id, err := v.HostNamed(q.Host)
		if err != nil {
			return fleet.List[fleet.Instance]{}, err
		}
		walk.add(v.cfg.Source.Replica().Block(id))
	}
	items, next := page(v.collect(walk, &q, limit), limit)
	v.mu.RLock()
	defer v.mu.RUnlock()
	return fleet.List[fleet.Instance]{Items: items, Coverage: v.coverage, Next: next}, nil
}

// collect returns the walk's rows that match, until there are enough to cut a
// page of limit rows and know whether another follows.
func (v *View) collect(walk *walk, q *fleet.InstanceQuery, limit int) []fleet.Instance {
	v.refresh()
	now := v.cfg.Now()
	rows := make([]fleet.Instance, 0, min(limit+1, 128))
	for {
		b, id, ok := walk.next()
		if !ok || len(rows) > limit && rows[len(rows)-1].ID != rows[limit-1].ID {
			return rows
		}
		if row, ok := b.Instance(id); ok && matches(q, &row) {
			v.overlayInstance(b, &row, now)
			rows = append(rows, row)
		}
	}
}

// Instance returns one instance. Where several hosts show it, the row returned
// is that of its owner; a list shows them all.
func (v *View) Instance(_ context.Context, id fleet.InstanceID) (fleet.Instance, error) {
	v.refresh()
	now := v.cfg.Now()
	var rows []fleet.Instance
	for _, b := range v.cfg.Source.Replica().Instance(id) {
		if row, ok := b.Instance(id); ok {
			v.overlayInstance(b, &row, now)
			rows = append(rows, row)
		}
	}
	i := owner(rows)
	if i < 0 {
		return fleet.Instance{}, &fleet.Error{
			Code: fleet.CodeNotFound, Instance: id,
			Detail: fmt.Sprintf("no instance has the id %s; list them with: grapevine instance list", id),
		}
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
}
