package agent

import (
	"context"

	"grapevine/agent/quarantine"
	"grapevine/fleet"
)

// ReleaseHost implements api.Writer for this host: it is trusted as it is, which
// is in the journal with who said so and why. What is superseded here stays so.
func (a *Agent) ReleaseHost(_ context.Context, id fleet.HostID, decide fleet.Decide) (fleet.Host, error) {
	if id != a.hostID {
		return fleet.Host{}, errorf(fleet.CodeMisdirected, "this is the agent of host %s (%s); ask a registry, or the agent of host %s", a.name(), a.hostID, id)
	}
	if err := fleet.CheckReason(decide.Reason); err != nil {
		return fleet.Host{}, err
	}
	if err := a.settled(); err != nil {
		return fleet.Host{}, err
	}
	if err := a.release(decide); err != nil {
		return fleet.Host{}, err
	}
	version, rows := a.publish()
	rows.Host.Version = version
	rows.Host.Reachability = fleet.ReachOK
	return rows.Host, nil
}

func (a *Agent) release(decide fleet.Decide) error {
	a.trust.judging.Lock()
	defer a.trust.judging.Unlock()
	facts := a.facts()
	a.state.mu.Lock()
	held := a.state.back
	a.state.mu.Unlock()
	if !held.On() {
		return errorf(fleet.CodeConflict, "host %s is not quarantined", a.name())
	}
	released := held.Released(&facts, decide.By, decide.Reason)
	_, verdict := quarantine.Judge(released, &facts)
	if err := a.adoptState(held, released, verdict); err != nil {
		return errorf(fleet.CodeInternal, "%v", err)
	}
	a.log.Warn("host is released from quarantine", "by", decide.By, "why", decide.Reason, "superseded", len(released.Superseded))
	a.trust.once.Do(func() { close(a.trust.given) })
	return nil
}
