package registry

import (
	"context"

	"grapevine/api"
	"grapevine/api/client"
	"grapevine/enrol"
	"grapevine/fleet"
)

// ChangeTrust implements api.Core: who would be cut off is asked here, and an agent
// accepts the list.
func (c *core) ChangeTrust(ctx context.Context, ask fleet.ChangeTrust, who api.Principal) (fleet.Decided, error) {
	if ask.By != "" {
		return fleet.Decided{}, errPassedOn
	}
	if err := c.notReady(); err != nil {
		return fleet.Decided{}, err
	}
	if err := enrol.CheckChange(c.identity, &ask, func() (fleet.TrustReport, error) { return c.TrustReport(ctx, false) }); err != nil {
		return fleet.Decided{}, err
	}
	ask.By = who.Word()
	return accept(ctx, c, fleet.RankedFor(fleet.NameTrust(ask.Trust), c.HostIDs()), func(ctx context.Context, peer *client.Client) (fleet.Decided, error) {
		return peer.ChangeTrust(ctx, ask)
	})
}
