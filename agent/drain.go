package agent

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"grapevine/agent/journal"
	"grapevine/fleet"
)

// drain is how the host is being emptied, in memory as in the journal. Who
// changes it holds the host's key over the write to the journal; mu is held by
// nobody who waits, so that a slow disk keeps no reader.
type drain struct {
	mu     sync.Mutex
	record journal.Drain      // guarded by mu
	cancel context.CancelFunc // guarded by mu: ends the round under way, which rests on an older record
	wake   chan struct{}      // the record has changed
}

// now returns a copy of the record.
func (d *drain) now() journal.Drain {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.record.Clone()
}

// note changes what is known of one machine, durably, unless the drain has gone
// on to another phase meanwhile.
func (a *Agent) note(phase fleet.DrainPhase, id fleet.InstanceID, change func(*journal.Drained)) error {
	defer a.keys.lock(a.hostID)()
	next := a.drain.now()
	if next.Phase != phase {
		return context.Canceled
	}
	if next.Machine(id) == nil {
		next.Machines = append(next.Machines, journal.Drained{Instance: id})
	}
	change(next.Machine(id))
	return a.setDrain(a.running, next, "")
}

// setDrain makes the record durable and, unless it is empty, the host's state
// with it. The caller holds the host's key.
func (a *Agent) setDrain(ctx context.Context, next journal.Drain, state fleet.HostState) error {
	if err := a.promises(ctx).SetDrain(next, state); err != nil {
		return errorf(fleet.CodeInternal, "%v", err)
	}
	a.drain.mu.Lock()
	a.drain.record = next
	a.drain.mu.Unlock()
	if state != "" {
		a.state.mu.Lock()
		a.state.base.State = state
		a.state.mu.Unlock()
	}
	return nil
}

// turn takes the drain into another phase, and ends what goes on in this one.
func (a *Agent) turn(ctx context.Context, next journal.Drain, state fleet.HostState) (fleet.Drain, error) {
	if err := a.setDrain(ctx, next, state); err != nil {
		return fleet.Drain{}, err
	}
	a.drain.mu.Lock()
	if a.drain.cancel != nil {
		a.drain.cancel()
	}
	a.drain.mu.Unlock()
	a.publish()
	select {
	case a.drain.wake <- struct{}{}:
	default:
	}
	return a.drained(&next), nil
}

// StartDrain implements api.Writer for this host. Asked for again, it takes the
// new wishes, and what was left or failed is tried anew.
func (a *Agent) StartDrain(ctx context.Context, id fleet.HostID, req fleet.DrainRequest) (fleet.Drain, error) {
	if err := a.mine(id); err != nil {
		return fleet.Drain{}, err
	}
	defer a.keys.lock(id)()
	if a.hostState() == fleet.HostQuarantined {
		return fleet.Drain{}, errorf(fleet.CodeConflict, "host %s is quarantined; release it first", a.name())
	}
	next := a.drain.now()
	if next.Phase != fleet.DrainGoing {
		next.StartedAt = time.Now()
	}
	next.Phase, next.DrainRequest = fleet.DrainGoing, req
	// What was started again is no more a machine that the drain has stopped.
	next.Machines = slices.DeleteFunc(next.Machines, func(m journal.Drained) bool { return m.Outcome == outcomeStarted || !m.Asked })
	for i := range next.Machines {
		if next.Machines[i].Outcome != outcomeStopped {
			next.Machines[i].Outcome, next.Machines[i].Detail = "", ""
		}
	}
	return a.turn(ctx, next, fleet.HostDraining)
}

// Undrain implements api.Writer for this host: it takes instances again, and
// what the drain stopped is started.
func (a *Agent) Undrain(ctx context.Context, id fleet.HostID) (fleet.Drain, error) {
	if err := a.mine(id); err != nil {
		return fleet.Drain{}, err
	}
	defer a.keys.lock(id)()
	next := a.drain.now()
	if next.Phase != fleet.DrainGoing {
		return fleet.Drain{}, errorf(fleet.CodeConflict, "host %s is not being drained", a.name())
	}
	next.Phase = fleet.DrainRestoring
	next.Machines = slices.DeleteFunc(next.Machines, func(m journal.Drained) bool { return !m.Asked })
	for i := range next.Machines {
		next.Machines[i].Outcome, next.Machines[i].Detail = "", ""
	}
	return a.turn(ctx, next, fleet.HostOK)
}

// PlanDrain implements view.Local: what becomes of each machine, or would.
func (l *local) PlanDrain(_ context.Context, id fleet.HostID, req fleet.DrainRequest) (fleet.Drain, error) {
	a := (*Agent)(l)
	if err := a.mine(id); err != nil {
		return fleet.Drain{}, err
	}
	record := a.drain.now()
	if record.Phase == "" || req.Mode != "" {
		if req.Mode == "" {
			req.Mode = fleet.DrainWait
		}
		record = journal.Drain{DrainRequest: req, Phase: fleet.DrainPlanned}
	}
	return a.drained(&record), nil
}

// mine refuses what is about another host.
func (a *Agent) mine(id fleet.HostID) error {
	if id != a.hostID {
		return errorf(fleet.CodeMisdirected, "this is the agent of host %s (%s); ask a registry, or the agent of host %s", a.name(), a.hostID, id)
	}
	return nil
}

func (a *Agent) hostState() fleet.HostState {
	a.state.mu.Lock()
	defer a.state.mu.Unlock()
	if a.state.back.On() {
		return fleet.HostQuarantined
	}
	return a.state.base.State
}

// drained is the drain as people see it: the record, laid over the machines as
// they are now.
func (a *Agent) drained(record *journal.Drain) fleet.Drain {
	rows, _ := a.rows()
	out := fleet.Drain{
		Host: a.hostID, HostName: a.name(), Phase: record.Phase, DrainRequest: record.DrainRequest,
		Machines: []fleet.DrainMachine{}, Version: a.mesh.Replica().Version(a.hostID),
	}
	if !record.StartedAt.IsZero() {
		out.StartedAt = &record.StartedAt
	}
	inStartOrder(rows.Instances)
	if record.Phase != fleet.DrainRestoring && record.Phase != fleet.DrainRestored {
		slices.Reverse(rows.Instances)
	}
	for i := range rows.Instances {
		m := machineOf(record, &rows.Instances[i])
		if m.Remains {
			out.Remaining++
		}
		out.Machines = append(out.Machines, m)
	}
	if out.Phase == fleet.DrainGoing && out.Remaining == 0 {
		out.Phase = fleet.DrainDone
	}
	return out
}

// machineOf says what is done to a machine, and what has come of it.
func machineOf(record *journal.Drain, row *fleet.Instance) fleet.DrainMachine {
	m := fleet.DrainMachine{
		Instance: row.ID, Name: row.Name, Ownership: row.Ownership, Power: row.Power, Task: row.Task,
		Remains: up(row),
	}
	m.Step, m.Detail = stepOf(record, row)
	if noted := record.Machine(row.ID); noted != nil && noted.Outcome != "" {
		m.Outcome, m.Detail = noted.Outcome, cmp.Or(noted.Detail, m.Detail)
	}
	return m
}

// up reports whether the host cannot be switched off without harm to a machine.
func up(row *fleet.Instance) bool {
	switch row.Power {
	case fleet.PowerStopped, fleet.PowerCrashed, fleet.PowerSuspended: // one that is suspended lies on the disk
		return row.Task != fleet.TaskNone
	default:
		return row.Power != fleet.PowerUnknown || row.Task != fleet.TaskNone || row.Ownership == fleet.Foreign
	}
}

// stepOf says what the drain does to a machine as it is, and why nothing where
// it does nothing to one that is up.
func stepOf(record *journal.Drain, row *fleet.Instance) (fleet.DrainStep, string) {
	if record.Phase == fleet.DrainRestoring || record.Phase == fleet.DrainRestored {
		if record.Machine(row.ID) != nil {
			return fleet.DrainStart, ""
		}
		return fleet.DrainNothing, ""
	}
	switch {
	case !up(row):
		return fleet.DrainNothing, ""
	case row.Ownership == fleet.Foreign:
		return fleet.DrainRemains, "it is foreign, and Grapevine does nothing to it; stop it yourself, or adopt it first"
	case record.Mode == fleet.DrainWait:
		return fleet.DrainWaits, ""
	case row.Power == fleet.PowerRunning || row.Task != fleet.TaskNone:
		return fleet.DrainShutDown, ""
	case record.Force:
		return fleet.DrainForce, "it is " + string(row.Power) + ", and its guest cannot be asked"
	default:
		return fleet.DrainRemains, "it is " + string(row.Power) + ", and its guest cannot be asked; resume it, or drain with force"
	}
}

// inStartOrder orders rows as they are started: by their start order, those
// without one last, then oldest first. They are stopped the other way round.
func inStartOrder(rows []fleet.Instance) {
	slices.SortFunc(rows, func(x, y fleet.Instance) int {
		return cmp.Or(cmp.Compare(fleet.Place(x.StartOrder), fleet.Place(y.StartOrder)), x.CreatedAt.Compare(y.CreatedAt), x.ID.Compare(y.ID))
	})
}
