package view

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"grapevine/fleet"
)

// Members returns the members of the mesh as this node's failure detector sees
// them, ordered by id.
func (v *View) Members(context.Context) (fleet.List[fleet.Member], error) {
	members := v.cfg.Source.Members()
	for i := range members {
		if members[i].Name == "" {
			members[i].Name = v.HostName(members[i].ID)
		}
	}
	return withCoverage(v, members), nil
}

// Links returns the streams that carry blocks between this node and others,
// ordered by peer.
func (v *View) Links(context.Context) (fleet.List[fleet.Link], error) {
	links := v.cfg.Source.LinkList()
	for i := range links {
		if links[i].PeerName == "" {
			links[i].PeerName = v.HostName(links[i].Peer)
		}
	}
	return withCoverage(v, links), nil
}

// withCoverage makes a list of rows that are copies already.
func withCoverage[T any](v *View, items []T) fleet.List[T] {
	v.refresh()
	v.mu.RLock()
	defer v.mu.RUnlock()
	return fleet.List[T]{Items: slices.Concat([]T{}, items), Coverage: v.coverage}
}

// Digest returns what this node holds of each host, in the order of their ids,
// and the root over all: nodes with equal roots hold the same fleet.
func (v *View) Digest(context.Context) (fleet.Digest, error) {
	return v.cfg.Source.Replica().Digest(), nil
}

// Lag returns how far this node is behind each host, ordered by host name.
func (v *View) Lag(context.Context) (fleet.List[fleet.LagRow], error) {
	v.refresh()
	now := v.cfg.Now()
	v.mu.RLock()
	rows := make([]fleet.LagRow, 0, len(v.standings))
	for b := range v.cfg.Source.Replica().Blocks() {
		host := v.host(b, now)
		rows = append(rows, fleet.LagRow{
			Host: host.ID, HostName: host.Name, AgeMS: host.AgeMS, Reachability: host.Reachability,
			Version: b.Version(), Wanted: v.cfg.Source.Wanted(host.ID),
		})
	}
	v.mu.RUnlock()
	slices.SortFunc(rows, func(a, b fleet.LagRow) int {
		return cmp.Or(strings.Compare(a.HostName, b.HostName), a.Host.Compare(b.Host))
	})
	return withCoverage(v, rows), nil
}
