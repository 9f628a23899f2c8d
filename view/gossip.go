package view

import (
	"context"
	"slices"

	"grapevine/fleet"
)

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
