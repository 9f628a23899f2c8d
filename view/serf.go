package view

import (
	"context"
	"errors"
	"fmt"

	"grapevine/fleet"
)

// RTT estimates the round trip between two members, by name, id or address,
// from their network coordinates; an empty one is this node. It does not block.
func (v *View) RTT(ctx context.Context, a, b string) (fleet.RoundTrip, error) {
	from, err := v.memberNamed(ctx, a)
	if err != nil {
		return fleet.RoundTrip{}, err
	}
	to, err := v.memberNamed(ctx, b)
	if err != nil {
		return fleet.RoundTrip{}, err
	}
	trip, err := v.cfg.Source.RTT(from.ID, to.ID)
	return named(trip, &from, &to), err
}

// Ping measures the round trip from this node to a member, by name, id or
// address, and blocks for a few seconds at most.
func (v *View) Ping(ctx context.Context, ref string) (fleet.RoundTrip, error) {
	to, err := v.memberNamed(ctx, ref)
	if err != nil {
		return fleet.RoundTrip{}, err
	}
	self, err := v.memberNamed(ctx, "")
	if err != nil {
		return fleet.RoundTrip{}, err
	}
	trip, err := v.cfg.Source.Ping(ctx, to.ID)
	return named(trip, &self, &to), err
}

func named(trip fleet.RoundTrip, from, to *fleet.Member) fleet.RoundTrip {
	trip.From, trip.FromName, trip.To, trip.ToName = from.ID, from.Name, to.ID, to.Name
	return trip
}

// GossipKeys lists the gossip keys that the members hold, by fingerprint. It
// blocks until all have answered, or for a minute at most.
func (v *View) GossipKeys(ctx context.Context) (fleet.GossipKeyReport, error) {
	return v.ChangeGossipKeys(ctx, fleet.GossipKeyChange{})
}

// ChangeGossipKeys installs, uses or removes a gossip key at every member. It
// blocks until all have answered, or for a minute at most; members that did
// not do it are in the report.
func (v *View) ChangeGossipKeys(ctx context.Context, change fleet.GossipKeyChange) (fleet.GossipKeyReport, error) {
	report, err := v.cfg.Source.Keys(ctx, change)
	if errors.Is(err, context.DeadlineExceeded) {
		err = &fleet.Error{Code: fleet.CodeOutcomeUnknown, Detail: fmt.Sprintf("the members did not all answer in time (%v); list the keys, and ask again", err)}
	}
	for i := range report.Errors {
		if e := &report.Errors[i]; e.Name == "" {
			e.Name = v.HostName(e.ID)
		}
	}
	return report, err
}
