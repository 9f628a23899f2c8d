package mesh

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/hashicorp/serf/coordinate"
	"github.com/hashicorp/serf/serf"

	"grapevine/fleet"
)

// pingTries is how often a ping is sent before a member counts as silent: one
// packet in ten may be lost.
const pingTries = 3

var _ gossip = (*serfMembers)(nil)

// RTT implements gossip.
func (s *serfMembers) RTT(a, b fleet.UUID) (fleet.RoundTrip, error) {
	sf := s.running()
	if sf == nil {
		return fleet.RoundTrip{}, notRunning()
	}
	from, err := s.coordinate(sf, a)
	if err != nil {
		return fleet.RoundTrip{}, err
	}
	to, err := s.coordinate(sf, b)
	if err != nil {
		return fleet.RoundTrip{}, err
	}
	if !from.IsCompatibleWith(to) {
		return fleet.RoundTrip{}, &fleet.Error{Code: fleet.CodeUnsupported, Detail: fmt.Sprintf(
			"the network coordinates of %s and %s have different dimensions: one of both runs another version of Serf", a, b)}
	}
	trip := fleet.RoundTrip{From: a, To: b}
	if a != b {
		trip.RTTMS = milliseconds(from.DistanceTo(to))
	}
	return trip, nil
}

// coordinate returns where a member is in the network, as far as this node
// knows.
func (s *serfMembers) coordinate(sf *serf.Serf, id fleet.UUID) (*coordinate.Coordinate, error) {
	if id == s.cfg.ID {
		c, err := sf.GetCoordinate()
		if err != nil {
			return nil, fmt.Errorf("read own network coordinate: %w", err)
		}
		return c, nil
	}
	if _, err := findMember(sf, id); err != nil {
		return nil, err
	}
	if c, ok := sf.GetCachedCoordinate(id.String()); ok {
		return c, nil
	}
	round := time.Duration(sf.NumNodes()) * probeInterval
	return nil, &fleet.Error{Code: fleet.CodeNotReady, Detail: fmt.Sprintf(
		"no network coordinate of %s is known here yet: a node learns those of the members that it probes, one every %v, all within about %v; "+
			"wait, measure with a ping from here, or ask one of the two hosts", id, probeInterval, round.Round(time.Second))}
}

// Ping implements gossip.
func (s *serfMembers) Ping(ctx context.Context, id fleet.UUID) (fleet.RoundTrip, error) {
	sf := s.running()
	if sf == nil {
		return fleet.RoundTrip{}, notRunning()
	}
	m, err := findMember(sf, id)
	if err != nil {
		return fleet.RoundTrip{}, err
	}
	addr := &net.UDPAddr{IP: m.Addr, Port: int(m.Port)}
	for range pingTries {
		if err := ctx.Err(); err != nil {
			return fleet.RoundTrip{}, fmt.Errorf("ping %s: %w", id, err)
		}
		// Memberlist's own figure begins when the packet is away, which on a near
		// network is after the answer has come: it is negative then.
		asked := time.Now()
		if _, err = sf.Memberlist().Ping(m.Name, addr); err == nil {
			return fleet.RoundTrip{From: s.cfg.ID, To: id, RTTMS: milliseconds(time.Since(asked)), Measured: true}, nil
		}
	}
	if silent := (memberlist.NoPingResponseError{}); !errors.As(err, &silent) {
		return fleet.RoundTrip{}, fmt.Errorf("ping %s at %s: %w", id, addr, err)
	}
	return fleet.RoundTrip{}, &fleet.Error{Code: fleet.CodeHostUnreachable, Detail: fmt.Sprintf(
		"%s at %s (%s) answered none of %d pings within %v each; check that its agent runs and that UDP to that port is let through",
		id, addr, statusOf(m.Status), pingTries, probeTimeout)}
}

// findMember returns the member with an id, whatever its status.
func findMember(sf *serf.Serf, id fleet.UUID) (serf.Member, error) {
	members := sf.Members()
	i := slices.IndexFunc(members, func(m serf.Member) bool { return m.Name == id.String() })
	if i < 0 {
		return serf.Member{}, &fleet.Error{Code: fleet.CodeNotFound, Detail: fmt.Sprintf(
			"no member %s is known to gossip; list them with: grapevine mesh members", id)}
	}
	return members[i], nil
}

func notRunning() error {
	return &fleet.Error{Code: fleet.CodeNotReady, Detail: "this node has not joined the gossip yet, or is stopping; try again"}
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
