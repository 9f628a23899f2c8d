package agent

import (
	"context"
	"slices"

	"grapevine/agent/observer"
	"grapevine/api"
	"grapevine/drivers"
	"grapevine/fleet"
	"grapevine/mesh"
)

// ActInstance implements api.Writer for the machines of this host.
func (a *Agent) ActInstance(ctx context.Context, id fleet.InstanceID, action fleet.InstanceAction, opts api.ActOptions) (fleet.Accepted, error) {
	if action.Task() == fleet.TaskNone {
		return fleet.Accepted{}, errorf(fleet.CodeInvalid, "instance action %.40q is not known", string(action))
	}
	w := &work{verb: string(action), force: opts.Force}
	return a.begin(ctx, id, w, func(row *fleet.Instance, picture *observer.Picture) error {
		machine, built := picture.Machines[id]
		if action == fleet.Disown && row.Ownership == fleet.Foreign {
			return errorf(fleet.CodeConflict, "instance %s is foreign already", id)
		}
		if action != fleet.Adopt {
			if err := ours(row, built); err != nil {
				return err
			}
		}
		switch {
		case action == fleet.Adopt && built && contested(row):
			w.mark = a.preferred(&machine.Machine)
			return nil
		case action == fleet.Adopt && row.Ownership == fleet.Managed:
			return errorf(fleet.CodeConflict, "instance %s is managed already", id)
		case (action == fleet.Pause || action == fleet.Resume) && !slices.Contains(picture.Description.Features, drivers.FeaturePause):
			return errorf(fleet.CodeUnsupported, "%s on host %s cannot pause and resume", row.Hypervisor, a.name())
		case action == fleet.Start && a.state.base.State == fleet.HostDraining && row.Power != fleet.PowerRunning:
			return errorf(fleet.CodeRefused, "host %s is draining, and starts no machine until that ends: grapevine host undrain %s", a.name(), a.name())
		case action == fleet.Start && picture.Description.Maintenance && row.Power != fleet.PowerRunning:
			return errorf(fleet.CodeRefused, "host %s is in maintenance mode at its hypervisor, which starts no machine until that ends", a.name())
		default:
			return nil
		}
	})
}

// DeleteInstance implements api.Writer for the machines of this host.
func (a *Agent) DeleteInstance(ctx context.Context, id fleet.InstanceID) (fleet.Accepted, error) {
	return a.begin(ctx, id, &work{verb: verbDelete}, func(row *fleet.Instance, _ *observer.Picture) error {
		if row.Ownership == fleet.Foreign {
			return notManaged(row)
		}
		return nil
	})
}

func notManaged(row *fleet.Instance) error {
	return errorf(fleet.CodeNotManaged, "instance %s (%s) is foreign: Grapevine did not make it; adopt it first with: grapevine instance adopt %s",
		row.ID, row.Name, row.ID)
}

// ours says why a machine is not one that may be changed: somebody else's, or
// one that was never built. One that is being built is busy, which is said where
// operations begin.
func ours(row *fleet.Instance, built bool) error {
	switch {
	case row.Ownership == fleet.Foreign:
		return notManaged(row)
	case !built && row.Task == fleet.TaskNone:
		return errorf(fleet.CodeConflict, "instance %s was never built (%s); delete it", row.ID, row.Fault)
	default:
		return nil
	}
}

// writable returns the row of an instance of this host that may be written to
// now, as far as the host is concerned.
func (a *Agent) writable(rows *mesh.State, id fleet.InstanceID) (*fleet.Instance, error) {
	if rows.Host.HypervisorFault != "" {
		return nil, errorf(fleet.CodeHypervisorUnreachable,
			"the hypervisor of host %s does not answer (%s); nothing can be done to its instances until it does", a.name(), rows.Host.HypervisorFault)
	}
	for i := range rows.Instances {
		if rows.Instances[i].ID == id {
			return &rows.Instances[i], nil
		}
	}
	if other := a.elsewhere(id); other != "" {
		return nil, errorf(fleet.CodeMisdirected,
			"instance %s is on host %s, and host %s writes only to its own; ask a registry, or that host's agent", id, other, a.name())
	}
	return nil, errorf(fleet.CodeNotFound, "instance %s is not known here; list them with: grapevine instance list", id)
}

// ActHost implements api.Writer for this host.
func (a *Agent) ActHost(ctx context.Context, id fleet.HostID, action fleet.HostAction) (fleet.Host, error) {
	if id != a.hostID {
		return fleet.Host{}, errorf(fleet.CodeMisdirected, "this is the agent of host %s (%s); ask a registry, or the agent of host %s", a.name(), a.hostID, id)
	}
	state := fleet.HostOK
	switch action {
	case fleet.Uncordon:
	case fleet.Cordon:
		state = fleet.HostCordoned
	default:
		return fleet.Host{}, errorf(fleet.CodeInvalid, "host action %.40q is not one of cordon, uncordon", string(action))
	}
	unlock := a.keys.lock(id)
	defer unlock()
	if a.drain.now().Phase == fleet.DrainGoing {
		return fleet.Host{}, errorf(fleet.CodeConflict, "host %s is draining; end that with: grapevine host undrain %s", a.name(), a.name())
	}
	if err := a.promises(ctx).SetHostState(state); err != nil {
		return fleet.Host{}, errorf(fleet.CodeInternal, "%v", err)
	}
	a.state.mu.Lock()
	a.state.base.State = state
	a.state.mu.Unlock()
	version, rows := a.publish()
	rows.Host.Version = version
	rows.Host.Reachability = fleet.ReachOK
	return rows.Host, nil
}

// settled says whether promises of this host can be published yet.
func (a *Agent) settled() error {
	if err := a.mesh.Ready(); err != nil {
		return errorf(fleet.CodeNotReady, "host %s has just started: %v; try again in a moment", a.name(), err)
	}
	return nil
}
