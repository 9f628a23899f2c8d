package agent

import (
	"context"
	"fmt"

	"grapevine/api"
	"grapevine/enrol"
	"grapevine/fleet"
	"grapevine/identity"
)

// ChangeTrust implements api.Writer: a list of roots becomes a record, which every
// node that hears of it judges for itself. Of one that a registry passes on, the
// registry has asked who would be cut off.
func (a *Agent) ChangeTrust(ctx context.Context, ask fleet.ChangeTrust, who api.Principal) (fleet.Decided, error) {
	if err := a.settled(); err != nil {
		return fleet.Decided{}, err
	}
	by, err := wordOf(ask.By, who)
	if err != nil {
		return fleet.Decided{}, err
	}
	ask.Force = ask.Force || ask.By != ""
	if err := enrol.CheckChange(a.identity, &ask, func() (fleet.TrustReport, error) { return a.TrustReport(ctx, false) }); err != nil {
		return fleet.Decided{}, err
	}
	list, err := identity.ReadTrust([]byte(ask.Trust))
	if err != nil {
		return fleet.Decided{}, err
	}
	r := fleet.Record{
		Kind: fleet.TrustRoots, Subject: fleet.NameTrust(ask.Trust), Trust: ask.Trust,
		Name: fmt.Sprintf("list %d of the roots", list.Number),
	}
	return a.accept(ctx, r, by, ask.Reason)
}
