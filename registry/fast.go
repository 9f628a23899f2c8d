package registry

import (
	"context"

	"grapevine/fleet"
)

// fast places an instance without asking anybody who has its key: what shows the
// instance is asked first, and otherwise hosts as for a create without a key. Two
// such creates at once, or one that is sent again before its row is heard, may
// make two machines.
func (p *placing) fast(ctx context.Context) (fleet.Accepted, error) {
	if row, err := p.core.Instance(ctx, p.req.ID); err == nil && !row.HostDeclaredDead {
		if err := p.anchored(ctx, 0); err != nil {
			return fleet.Accepted{}, err
		}
		accepted, err := p.propose(ctx, row.Host, 1)
		accepted.Consistency = fleet.ConsistencyFast
		return accepted, err
	}
	accepted, err := p.unkeyed(ctx)
	accepted.Consistency = fleet.ConsistencyFast
	return accepted, err
}
