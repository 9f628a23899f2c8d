package mesh

import (
	"context"
	"slices"

	"grapevine/fleet"
)

// gossip is what operators ask of Serf beside who is there.
type gossip interface {
	RTT(a, b fleet.UUID) (fleet.RoundTrip, error)
	Ping(ctx context.Context, id fleet.UUID) (fleet.RoundTrip, error)
	Keys(ctx context.Context, change fleet.GossipKeyChange) (fleet.GossipKeyReport, error)
	Depart(ctx context.Context) error
}

var errNoGossip = &fleet.Error{Code: fleet.CodeUnsupported, Detail: "this node takes part in no gossip; ask another one"}

// RTT estimates the round trip between two members from their network
// coordinates, which this node learns of the members that it probes in turn.
// It does not block. Where a coordinate is not known here, the error says what
// to do.
func (m *Mesh) RTT(a, b fleet.UUID) (fleet.RoundTrip, error) {
	g, ok := m.members.(gossip)
	if !ok {
		return fleet.RoundTrip{}, errNoGossip
	}
	return g.RTT(a, b)
}

// Ping measures the round trip to a member now. It blocks until the member
// answers, a second and a half at most.
func (m *Mesh) Ping(ctx context.Context, id fleet.UUID) (fleet.RoundTrip, error) {
	g, ok := m.members.(gossip)
	if !ok {
		return fleet.RoundTrip{}, errNoGossip
	}
	return g.Ping(ctx, id)
}

// Keys changes the gossip keys of all members, or lists them where change is
// zero. Members that fail or stay silent are in the report; an error means that
// nothing was asked of them. It blocks until all have answered, or for a
// minute at most.
func (m *Mesh) Keys(ctx context.Context, change fleet.GossipKeyChange) (fleet.GossipKeyReport, error) {
	g, ok := m.members.(gossip)
	if !ok {
		return fleet.GossipKeyReport{}, errNoGossip
	}
	return g.Keys(ctx, change)
}

// Leave says good bye to the mesh, so that the others list this member as
// left and not as failed; it blocks for a few seconds. The member then stays
// away until it is started anew, and Run goes on until its context ends, so
// that the process goes on answering.
func (m *Mesh) Leave(ctx context.Context) error {
	g, ok := m.members.(gossip)
	if !ok {
		return errNoGossip
	}
	return g.Depart(ctx)
}

// teller tells other members what a registry has to have as they have it.
type teller interface{ Tell(a fleet.Alike) error }

// Tell tells the other members what this registry has to have as other
// registries have it. It blocks for a second or two.
func (m *Mesh) Tell(a fleet.Alike) error {
	if t, ok := m.members.(teller); ok {
		return t.Tell(a)
	}
	return nil
}

// GossipKeys returns the keys that gossip is encrypted with now, the one in use
// first; nil where the membership has none. They are secret.
func (m *Mesh) GossipKeys() [][]byte {
	if s, ok := m.members.(*serfMembers); ok && s.ring != nil {
		return slices.Clone(s.ring.GetKeys())
	}
	return nil
}

// joinThrough is how many members a node that joins is told of.
const joinThrough = 5

// JoinThrough returns gossip addresses to join through: this member's, and
// those of some others that are there.
func (m *Mesh) JoinThrough() []string {
	through := []string{m.members.Advertised()}
	for _, other := range m.sortedMembers() {
		if len(through) == joinThrough {
			break
		}
		if other.ID != m.cfg.ID && other.Status == fleet.MemberAlive && other.Role == fleet.RoleAgent {
			through = append(through, other.Gossip)
		}
	}
	return through
}
