package agent

import (
	"context"

	"grapevine/api"
	"grapevine/fleet"
)

// AtLeast implements api.Dated.
func (a *Agent) AtLeast(ctx context.Context, at fleet.Version) (api.Reads, error) {
	owner, err := a.Current(ctx, at)
	if err != nil || owner != nil {
		return owner, err
	}
	return a, nil
}

// tell publishes what was just seen. It fails while nothing is published yet:
// an agent that has just started must not say that there is no such machine.
func (a *Agent) tell() error {
	if version, _ := a.publish(); version.IsZero() {
		return errorf(fleet.CodeNotReady, "host %s has just started, and cannot tell yet what it has; try again in a moment", a.name())
	}
	return nil
}

// OwnInstance looks at a machine of this host, publishes what it saw, and
// returns the row.
func (l *local) OwnInstance(ctx context.Context, id fleet.InstanceID) (fleet.Instance, error) {
	a := (*Agent)(l)
	if err := a.observer.Look(ctx, id); err != nil {
		return fleet.Instance{}, driverError("look at instance", err)
	}
	if err := a.tell(); err != nil {
		return fleet.Instance{}, err
	}
	row, there := a.Own(id)
	switch {
	case there:
		return row, nil
	case a.elsewhere(id) != "":
		return fleet.Instance{}, errorf(fleet.CodeMisdirected, "instance %s is on host %s, and this is the agent of host %s", id, a.elsewhere(id), a.name())
	default:
		return fleet.Instance{}, errorf(fleet.CodeNotFound, "instance %s is not on host %s any more", id, a.name())
	}
}

// OwnHost looks at the hypervisor and all machines, publishes what it saw, and
// returns the host's row.
func (l *local) OwnHost(ctx context.Context, id fleet.HostID) (fleet.Host, error) {
	a := (*Agent)(l)
	if id != a.hostID {
		return fleet.Host{}, errorf(fleet.CodeMisdirected, "this is the agent of host %s (%s), and not of host %s", a.name(), a.hostID, id)
	}
	if err := a.observer.Relist(ctx, true); err != nil {
		return fleet.Host{}, driverError("look at the host", err)
	}
	if err := a.tell(); err != nil {
		return fleet.Host{}, err
	}
	return a.Host(ctx, id)
}
