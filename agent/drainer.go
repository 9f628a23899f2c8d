package agent

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"grapevine/agent/journal"
	"grapevine/agent/observer"
	"grapevine/fleet"
)

// What came of a machine.
const (
	outcomeStopped = "stopped"
	outcomeLeft    = "left"
	outcomeFailed  = "failed"
	outcomeStarted = "started"
)

const (
	// drainAtOnce is how many machines are stopped or started at the same time: a
	// host's disks are what a boot waits for.
	drainAtOnce = 8
	// drainEvery is how often the machines of a host that is drained are looked
	// through: some are only just being built, or busy.
	drainEvery = time.Second
)

// errStillUp is why a guest that was asked is left.
var errStillUp = errors.New("the guest did not shut down in time and was left as it is")

// keepDraining does what the record of the drain says, also after a restart,
// round by round until ctx ends.
func (a *Agent) keepDraining(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-a.observer.Complete():
	}
	for {
		again := make(<-chan time.Time)
		if a.drainRound(ctx) {
			again = time.After(drainEvery)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-a.drain.wake:
		case <-again:
		}
	}
}

// drainRound takes the next machines, and returns when something has come of
// each of them, or the drain has turned to something else. It reports whether
// there may be more to do.
func (a *Agent) drainRound(ctx context.Context) bool {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	a.drain.mu.Lock()
	a.drain.cancel = cancel
	record := a.drain.record.Clone()
	a.drain.mu.Unlock()
	if a.hostState() == fleet.HostQuarantined {
		return true // nothing is done to its machines until it is released
	}
	switch record.Phase {
	case fleet.DrainGoing:
		a.settleOutcomes(&record)
		atOnce(a.toStop(&record), func(row *fleet.Instance) { a.drainStop(ctx, &record, row) })
		return record.Mode == fleet.DrainStop
	case fleet.DrainRestoring:
		rows := a.toStart(&record)
		atOnce(rows, func(row *fleet.Instance) { a.drainStart(ctx, row) })
		return ctx.Err() != nil || !a.restored()
	default:
		return false
	}
}

func atOnce(rows []fleet.Instance, do func(*fleet.Instance)) {
	var all sync.WaitGroup
	for i := range rows {
		all.Go(func() { do(&rows[i]) })
	}
	all.Wait()
}

// toStop returns the machines to stop next: of those that are up and of which
// nothing has come yet, the ones that start last, all of the same start order.
func (a *Agent) toStop(record *journal.Drain) []fleet.Instance {
	rows, _ := a.rows()
	inStartOrder(rows.Instances)
	var next []fleet.Instance
	for i := len(rows.Instances) - 1; i >= 0 && len(next) < drainAtOnce; i-- {
		row := rows.Instances[i]
		step, _ := stepOf(record, &row)
		noted := record.Machine(row.ID)
		switch {
		case step != fleet.DrainShutDown && step != fleet.DrainForce, noted != nil && noted.Outcome != "" && noted.Outcome != outcomeStopped:
		case len(next) > 0 && next[0].StartOrder != row.StartOrder:
			return next
		default:
			next = append(next, row)
		}
	}
	return next
}

// settleOutcomes notes that machines are down which the drain asked, in an
// earlier life of this agent or past their deadline.
func (a *Agent) settleOutcomes(record *journal.Drain) {
	for _, m := range record.Machines {
		s, there := a.observer.Machine(m.Instance)
		if m.Outcome != outcomeStopped && m.Asked && there && s.Power == fleet.PowerStopped {
			_ = a.note(fleet.DrainGoing, m.Instance, stoppedNow) // the next round tries again
		}
	}
}

func stoppedNow(m *journal.Drained) { m.Outcome, m.Detail = outcomeStopped, "" }

// drainStop stops one machine by an operation of its own. That it is about to
// is written first.
func (a *Agent) drainStop(ctx context.Context, record *journal.Drain, row *fleet.Instance) {
	if row.Task != fleet.TaskNone {
		a.awaitIdle(ctx, row.ID, row.Version)
		return // the next round sees what it is then
	}
	if err := a.note(fleet.DrainGoing, row.ID, func(m *journal.Drained) { m.Asked, m.Outcome, m.Detail = true, "", "" }); err != nil {
		return
	}
	w := &work{verb: string(fleet.Stop), grace: record.Deadline(), leave: !record.Force}
	if row.Power != fleet.PowerRunning {
		w.force, w.grace = true, 0
	}
	a.concludeDrained(ctx, fleet.DrainGoing, row, w, func(m *journal.Drained, fault string) {
		switch s, there := a.observer.Machine(row.ID); {
		case !there || s.Power == fleet.PowerStopped:
			stoppedNow(m)
		case w.leave:
			m.Outcome, m.Detail = outcomeLeft, fault
		default:
			m.Outcome, m.Detail = outcomeFailed, fault
		}
	})
}

// drainStart starts one machine that the drain has stopped.
func (a *Agent) drainStart(ctx context.Context, row *fleet.Instance) {
	if row.Task != fleet.TaskNone {
		a.awaitIdle(ctx, row.ID, row.Version)
		return
	}
	a.concludeDrained(ctx, fleet.DrainRestoring, row, &work{verb: string(fleet.Start)}, func(m *journal.Drained, fault string) {
		if s, there := a.observer.Machine(row.ID); there && s.Power == fleet.PowerRunning {
			m.Outcome, m.Detail = outcomeStarted, ""
			return
		}
		m.Outcome, m.Detail = outcomeFailed, fault
	})
}

// concludeDrained runs the operation to its end and notes what came of it. An
// operation that cannot begin for now leaves nothing noted: the next round
// tries again.
func (a *Agent) concludeDrained(ctx context.Context, phase fleet.DrainPhase, row *fleet.Instance, w *work, judge func(*journal.Drained, string)) {
	fault := ""
	accepted, err := a.begin(ctx, row.ID, w, func(row *fleet.Instance, picture *observer.Picture) error {
		_, built := picture.Machines[row.ID]
		return ours(row, built)
	})
	switch fleet.CodeOf(err) {
	case "":
		if !a.awaitIdle(ctx, row.ID, accepted.Version) {
			return
		}
		op, err := a.Operation(ctx, accepted.Operation)
		if err != nil || op.State == fleet.OperationRunning {
			return
		}
		fault = op.Fault
	case fleet.CodeBusy, fleet.CodeNotReady, fleet.CodeHypervisorUnreachable, fleet.CodeQuarantined:
		return
	default:
		fault = err.Error()
	}
	if err := a.note(phase, row.ID, func(m *journal.Drained) { judge(m, fault) }); err != nil && ctx.Err() == nil {
		a.log.Warn("outcome of a drain not noted", "instance", row.ID, "error", err)
	}
	a.outdate()
}

// awaitIdle waits until nothing is done to the instance; false when ctx ended.
func (a *Agent) awaitIdle(ctx context.Context, id fleet.InstanceID, at fleet.Version) bool {
	at.Host = a.hostID
	_, err := a.Await(ctx, id, at)
	return err == nil && ctx.Err() == nil
}

// toStart returns the machines to start next, all of the same start order.
func (a *Agent) toStart(record *journal.Drain) []fleet.Instance {
	rows, _ := a.rows()
	inStartOrder(rows.Instances)
	var next []fleet.Instance
	for i := range rows.Instances {
		row := rows.Instances[i]
		switch noted := record.Machine(row.ID); {
		case noted == nil || noted.Outcome != "":
		case len(next) == drainAtOnce, len(next) > 0 && next[0].StartOrder != row.StartOrder:
			return next
		default:
			next = append(next, row)
		}
	}
	return next
}

// restored ends the restoring once something has come of every machine that is
// still there.
func (a *Agent) restored() bool {
	defer a.keys.lock(a.hostID)()
	next := a.drain.now()
	if next.Phase != fleet.DrainRestoring {
		return next.Phase != fleet.DrainGoing
	}
	rows, _ := a.rows()
	if rows.Host.HypervisorFault != "" {
		return false
	}
	for _, row := range rows.Instances {
		if m := next.Machine(row.ID); m != nil && m.Outcome == "" {
			return false
		}
	}
	next.Phase = fleet.DrainRestored
	if err := a.setDrain(a.running, next, ""); err != nil {
		a.log.Warn("end of a drain not written", "error", err)
		return false
	}
	a.outdate()
	return true
}

// shutDown has the machine's guest shut down within the operation's grace, and
// leaves it as it is where it does not.
func (a *Agent) shutDown(ctx context.Context, op *journal.Operation, act func(context.Context) error) error {
	within, cancel := context.WithTimeoutCause(ctx, op.Grace, fmt.Errorf("%w (%s)", errStillUp, op.Grace))
	defer cancel()
	if err := act(within); err != nil {
		return fmt.Errorf("%s: %w", op.Verb, because(within, err))
	}
	return nil
}
