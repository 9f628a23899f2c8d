package registry

import (
	"context"
	"fmt"

	"grapevine/fleet"
	"grapevine/grants/ask"
)

// openWitnesses makes this registry ask the witnesses that it hears of.
func (c *core) openWitnesses() {
	node := func(id fleet.HostID) (ask.Node, error) {
		peer, err := c.Peer(id)
		if err != nil {
			return nil, err
		}
		return peer, nil
	}
	c.asker = &ask.Asker{
		Name:    c.HostName,
		Witness: func(id fleet.HostID) (ask.Witness, error) { return node(id) },
	}
	c.keeper = &ask.Keeper{Asker: c.asker, Heard: c.WitnessSet, Hosts: c.HostIDs, Named: c.HostNamed, Follows: c.Follows, Node: node}
}

// keysFor returns the witnesses, where a set is pinned, as those who decide about
// a key whose home by the home rule is this host; nil where that decides itself.
func (c *core) keysFor(home fleet.HostID) (ask.Keys, error) {
	set := c.keeper.Set()
	if set.IsZero() {
		return nil, nil //nolint:nilnil // nobody decides in the home's place
	}
	if !c.Follows(home) {
		return nil, &fleet.Error{
			Code:   fleet.CodeKeyHomeUnreachable,
			Detail: fmt.Sprintf("host %s kept this Idempotency-Key before there was a witness set, and has not said yet that it handed it over; send the same request again later, or use another key", c.HostName(home)),
		}
	}
	return ask.ByWitnesses{Asker: c.asker, Set: set, Token: ask.NewToken()}, nil
}

// Witnesses implements api.WitnessKeeper.
func (c *core) Witnesses(ctx context.Context) (fleet.WitnessReport, error) {
	return c.keeper.Witnesses(ctx)
}

// ChangeWitnesses implements api.WitnessKeeper.
func (c *core) ChangeWitnesses(ctx context.Context, change fleet.WitnessChange) (fleet.WitnessReport, error) {
	if err := c.notReady(); err != nil {
		return fleet.WitnessReport{}, err
	}
	return c.keeper.ChangeWitnesses(ctx, change)
}
