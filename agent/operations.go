package agent

import (
	"context"
	"errors"
	"time"

	"grapevine/agent/journal"
	"grapevine/agent/observer"
	"grapevine/drivers"
	"grapevine/fleet"
	"grapevine/internal/pause"
	"grapevine/internal/tracing"
)

// newOperation numbers an operation. The caller holds the lock.
func (s *state) newOperation(host fleet.HostID, id fleet.InstanceID, verb string) *journal.Operation {
	s.lastOperation++
	return &journal.Operation{Operation: fleet.Operation{
		ID:        fleet.OperationID(host, s.lastOperation),
		Host:      host,
		Instance:  id,
		Verb:      verb,
		State:     fleet.OperationRunning,
		StartedAt: time.Now(),
	}}
}

// work is what an operation is to do.
type work struct {
	verb  string
	force bool
	// A stop gives the guest grace, that of the configuration where it is 0, and
	// then leaves it as it is, or pulls the plug.
	grace    time.Duration
	leave    bool
	snapshot string
	device   *drivers.Attachment
	// imageName is that of the image to make.
	imageName string
	image     string // that is needed for it
	moving    *journal.Moving
	guest     *fleet.Guest // what cloud-init is to find; as it was where it is nil
	// Key makes requests one, however often they are sent: see repeated.
	key, hash string
	// A permit fills in what depends on the machine as it is: the size that it
	// is to get, the mark that it is to carry afterwards, and the power that it
	// has and is to have again.
	size  *fleet.Resources
	mark  *drivers.Mark
	power fleet.Power
}

// begin starts an operation on an instance, where may allows it. It answers
// once the operation is durable; one runs at a time on each instance.
func (a *Agent) begin(ctx context.Context, id fleet.InstanceID, w *work, may permit) (fleet.Accepted, error) {
	if err := a.settled(); err != nil {
		return fleet.Accepted{}, err
	}
	unlock := a.keys.lock(id)
	defer unlock()

	if accepted, known, err := a.repeated(id, w); known {
		return accepted, err
	}
	op, err := a.reserve(id, w, may)
	if err != nil {
		return fleet.Accepted{}, err
	}
	if err := written(ctx, "begin", func() error { return a.promised(ctx, op).Begin(*op, nil) }); err != nil {
		a.withdraw(id)
		return fleet.Accepted{}, errorf(fleet.CodeInternal, "%v", err)
	}
	return a.launch(ctx, op), nil
}

// permit says whether an operation may begin on an instance with this row.
type permit func(row *fleet.Instance, picture *observer.Picture) error

// reserve puts the instance under an operation. What is judged is the instance
// at this moment: one that another operation has just deleted is not there.
func (a *Agent) reserve(id fleet.InstanceID, w *work, may permit) (*journal.Operation, error) {
	a.state.mu.Lock()
	defer a.state.mu.Unlock()
	picture := a.observer.Picture()
	rows := a.state.rows(&picture, time.Now())
	row, err := a.writable(&rows, id)
	if err != nil {
		return nil, err
	}
	if err := a.state.counts(row, w.verb, a.View.HostName); err != nil {
		return nil, err
	}
	if err := free(row, w.verb); err != nil {
		return nil, err
	}
	if err := may(row, &picture); err != nil {
		return nil, err
	}
	if op := a.state.busy[id]; op != nil {
		return nil, errorf(fleet.CodeBusy, "instance %s is %s (operation %s); wait for it to end", id, taskOf(op), op.ID)
	}
	if a.state.lent[id] > 0 {
		return nil, errorf(fleet.CodeBusy, "instance %s is being cloned; wait for that to end", id)
	}
	if w.size != nil {
		if refusals := a.state.ledger.Grow(id, *w.size); len(refusals) > 0 {
			return nil, refused(&rows.Host, refusals)
		}
	}
	op := a.state.newOperation(a.hostID, id, w.verb)
	op.Force, op.Snapshot, op.Device, op.Size, op.Mark = w.force, w.snapshot, w.device, w.size, w.mark
	op.ImageName, op.Grace, op.Leave = w.imageName, w.grace, w.leave
	op.Image, op.Guest, op.Power, op.Key, op.KeyHash = w.image, w.guest, w.power, w.key, w.hash
	if w.moving != nil {
		w.moving.ID, op.Moving = op.ID, w.moving
	}
	a.state.busy[id] = op
	if w.verb == verbDelete {
		op.RequestHash = a.state.requestHash(&picture, id)
		a.state.leaving[id] = *row
	}
	return op, nil
}

// withdraw takes back an operation, and the claim that it was to build, that
// could not be made durable.
func (a *Agent) withdraw(id fleet.InstanceID) {
	a.state.mu.Lock()
	defer a.state.mu.Unlock()
	if op := a.state.busy[id]; op != nil && op.Verb == verbCreate {
		a.state.ledger.Release(id)
	}
	a.state.ledger.Grown(id)
	delete(a.state.busy, id)
	delete(a.state.leaving, id)
}

// launch publishes that the operation is under way, lets it run, and returns
// the answer to whoever asked for it.
func (a *Agent) launch(ctx context.Context, op *journal.Operation) fleet.Accepted {
	accepted := a.accepted(op.Instance, op.ID)
	a.spawn(ctx, op, a.observer.Complete())
	return accepted
}

// spawn runs the operation, once the hypervisor has been seen and all else may
// begin that it is to wait for, until it ends or the agent stops; in the latter
// case the next start takes it up again. It is of the trace of ctx, and does not
// end with it.
func (a *Agent) spawn(ctx context.Context, op *journal.Operation, after <-chan struct{}) {
	ctx = tracing.Joined(a.running, ctx)
	a.operations.Go(func() {
		select {
		case <-a.running.Done():
		case <-after:
			a.execute(ctx, op)
		}
	})
}

// resume takes up the operations that the journal says were under way.
func (a *Agent) resume() error {
	kept, err := a.journal.Operations()
	if err != nil {
		return err
	}
	a.state.mu.Lock()
	for i := range kept {
		a.state.arrival(&kept[i])
	}
	a.state.mu.Unlock()
	for _, op := range kept {
		if op.State != fleet.OperationRunning {
			continue
		}
		if op.Verb == fleet.VerbImportImage {
			a.log.Info("download resumed", "operation", op.ID, "url", op.URL.URL)
			a.spawnImport(a.running, &op)
			continue
		}
		a.log.Info("operation resumed", "operation", op.ID, "verb", op.Verb, "instance", op.Instance, "step", op.Step)
		a.state.mu.Lock()
		a.state.busy[op.Instance] = &op
		if op.Moving != nil {
			a.state.hide(op.Moving.Brought)
		}
		if op.Size != nil {
			a.state.ledger.Growing(op.Instance, *op.Size)
		}
		a.state.mu.Unlock()
		a.spawn(a.running, &op, a.trusted())
	}
	return nil
}

// execute does the operation, looks at what became of the machine, and writes
// the end. The row loses its task only with a fresh look behind it.
func (a *Agent) execute(ctx context.Context, op *journal.Operation) {
	begun := time.Now()
	ctx, done := a.told.listen(ctx, op.ID)
	defer done()
	ctx, span := a.traceOperation(ctx, op)
	outcome, err := a.perform(ctx, op)
	if ctx.Err() != nil {
		span.End(ctx.Err())
		return
	}
	defer func() { span.End(err) }()
	a.look(ctx, op, err == nil || outcome.Release)
	if s, there := a.observer.Machine(op.Instance); there {
		outcome.Seen = a.past.acted(op, s, err == nil)
	}
	ended := time.Now()
	final := *op
	final.State, final.EndedAt = fleet.OperationSucceeded, &ended
	final.Guest = nil // it may hold secrets, and nobody needs it any more
	final.Moving = final.Moving.Ended()
	if err != nil {
		final.State, final.Fault = fleet.OperationFailed, err.Error()
	}
	if !a.end(ctx, final, outcome) {
		return
	}
	a.conclude(&final, outcome)
	a.publish()
	a.metrics.operation(&final, ended.Sub(begun))
	if err != nil {
		a.log.WarnContext(ctx, "operation failed", "operation", op.ID, "verb", op.Verb, "instance", op.Instance, "error", err)
		return
	}
	a.log.InfoContext(ctx, "operation done", "operation", op.ID, "verb", op.Verb, "instance", op.Instance, "took", ended.Sub(begun))
}

// look takes a fresh look at the machine. One that was changed is looked at
// however long the hypervisor does not answer: a claim that was released
// without a look would take the instance out of the host's account, and a
// machine just deleted would be shown again.
func (a *Agent) look(ctx context.Context, op *journal.Operation, changed bool) {
	try := func() error {
		return traced(ctx, "look", func(ctx context.Context) error { return a.observer.Look(ctx, op.Instance) })
	}
	err := try()
	if changed && errors.Is(err, drivers.ErrUnavailable) {
		err = a.persist(ctx, try)
	}
	if err != nil && ctx.Err() == nil {
		a.log.WarnContext(ctx, "look after operation failed", "operation", op.ID, "instance", op.Instance, "error", err)
	}
}

// end writes the end of an operation, again and again while the journal cannot
// be written: an end that is not there would let the next start do the
// operation once more, to a machine that has been put to other use since. It
// returns false when ctx ended first; the next start is then right to do so.
func (a *Agent) end(ctx context.Context, final journal.Operation, outcome journal.Outcome) bool {
	for wait := firstRetry; ; wait = min(2*wait, lastRetry) {
		err := written(ctx, "end", func() error { return a.journal.End(final, outcome) })
		if err == nil {
			return true
		}
		a.log.ErrorContext(ctx, "end of operation not written", "operation", final.ID, "error", err)
		if !pause.UpTo(ctx, wait) {
			return false
		}
	}
}

// conclude brings the state in step with the end of an operation.
func (a *Agent) conclude(op *journal.Operation, out journal.Outcome) {
	a.state.mu.Lock()
	defer a.state.mu.Unlock()
	delete(a.state.busy, op.Instance)
	delete(a.state.leaving, op.Instance)
	delete(a.state.faults, op.Instance)
	if op.Fault != "" && !op.Arrives() {
		a.state.faults[op.Instance] = op.Fault
	}
	a.state.ledger.Grown(op.Instance)
	if out.Fault != "" {
		a.state.ledger.Fail(op.Instance, out.Fault)
	}
	if out.Release {
		a.state.ledger.Release(op.Instance)
	}
	if out.Arrived {
		delete(a.state.deleted, op.Instance)
	}
	if out.Deleted != nil {
		delete(a.state.faults, op.Instance)
		a.state.deleted[op.Instance] = *out.Deleted
	}
}
