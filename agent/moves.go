package agent

import (
	"context"
	"io"
	"os"

	"grapevine/agent/journal"
	"grapevine/agent/ledger"
	"grapevine/api"
	"grapevine/drivers"
	"grapevine/fleet"
)

// arrival remembers by which operation an instance comes. The caller holds the lock.
func (s *state) arrival(op *journal.Operation) {
	if _, n, err := fleet.ParseOperationID(op.ID); err == nil && op.Arrives() && !op.Moving.Settled {
		s.arrivals[op.Moving.ID] = n
	}
}

// OfferMove implements api.Node: another host offers an instance of its own. The
// same offer again tells how far it is.
func (a *Agent) OfferMove(ctx context.Context, m fleet.Move, who api.Principal) (fleet.MoveReport, error) {
	if err := m.Validate(); err != nil {
		return fleet.MoveReport{}, err
	}
	switch {
	case who.Role != api.AsAgent || who.ID != m.Source:
		return fleet.MoveReport{}, errorf(fleet.CodeForbidden, "host %s offers an instance of host %s; only that host's own agent may", who.Name, m.Source)
	case m.To != a.hostID:
		return fleet.MoveReport{}, errorf(fleet.CodeMisdirected, "this is the agent of host %s (%s), and the instance is offered to host %s", a.name(), a.hostID, m.To)
	}
	if err := a.settled(); err != nil {
		return fleet.MoveReport{}, err
	}
	if _, err := able[drivers.GuestTeller](a, drivers.FeatureMigrate, "takes no machines from other hosts"); err != nil {
		return fleet.MoveReport{}, err
	}
	unlock := a.keys.lock(m.Request.ID)
	defer unlock()
	if report, err := a.moveAt(m.ID); err != nil || report.State != fleet.MoveUnknown {
		return report, err
	}
	if m.Gone {
		return a.cameBefore(&m)
	}
	m.Request.Obtain = a.obtainable(ctx, m.Request.Image)
	op, claim, err := a.admitMove(&m)
	if err != nil {
		return fleet.MoveReport{}, err
	}
	if err := written(ctx, "begin", func() error { return a.promised(ctx, op).Begin(*op, claim) }); err != nil {
		a.state.mu.Lock()
		a.state.ledger.Release(op.Instance)
		a.state.mu.Unlock()
		a.withdraw(op.Instance)
		return fleet.MoveReport{}, errorf(fleet.CodeInternal, "%v", err)
	}
	a.state.mu.Lock()
	a.state.arrival(op)
	a.state.mu.Unlock()
	a.publish()
	a.spawn(ctx, op, a.observer.Complete())
	return fleet.MoveReport{State: fleet.MoveComing}, nil
}

// cameBefore answers for a move that this host has forgotten, as it does when
// somebody gave the source up: the instance must not be made once more, for it may
// have been deleted since.
func (a *Agent) cameBefore(m *fleet.Move) (fleet.MoveReport, error) {
	a.state.mu.Lock()
	defer a.state.mu.Unlock()
	picture := a.observer.Picture()
	machine, there := picture.Machines[m.Request.ID]
	_, deleted := a.state.deleted[m.Request.ID]
	if deleted || there && machine.Mark != nil && machine.Mark.Generation >= m.Generation {
		return fleet.MoveReport{State: fleet.MoveOwned}, nil
	}
	return fleet.MoveReport{}, errorf(fleet.CodeNotFound, "host %s knows of no move %s, and does not have instance %s", a.name(), m.ID, m.Request.ID)
}

// admitMove books an instance that is offered, or says why not.
func (a *Agent) admitMove(m *fleet.Move) (*journal.Operation, *ledger.Claim, error) {
	id := m.Request.ID
	a.state.mu.Lock()
	defer a.state.mu.Unlock()
	picture := a.observer.Picture()
	host := a.state.settle(&picture)
	if op := a.state.busy[id]; op != nil {
		return nil, nil, errorf(fleet.CodeBusy, "instance %s is %s at host %s (operation %s)", id, taskOf(op), a.name(), op.ID)
	}
	if !picture.Complete {
		return nil, nil, errorf(fleet.CodeNotReady, "host %s has not seen its hypervisor's machines yet", a.name())
	}
	if _, there := picture.Machines[id]; there || a.state.ledger.Claim(id) != nil {
		return nil, nil, refused(&host, []fleet.Refusal{{Code: fleet.RefuseDuplicate, Detail: "it has a machine or a claim with this id"}})
	}
	op := a.state.newOperation(a.hostID, id, fleet.VerbMigrate)
	op.Image, op.Key, op.KeyHash = m.Request.Image, m.Key, m.KeyHash
	op.Moving = &journal.Moving{Move: *m, Named: true}
	claim, refusals := a.state.ledger.Take(&host, fleet.Proposal{Request: m.Request, RequestHash: m.RequestHash, Attempt: 1, Generation: m.Generation}, op.ID)
	if len(refusals) > 0 {
		return nil, nil, refused(&host, refusals)
	}
	a.state.busy[id] = op
	return op, claim, nil
}

// MoveAt implements api.Node.
func (a *Agent) MoveAt(_ context.Context, id string) (fleet.MoveReport, error) { return a.moveAt(id) }

// moveAt is how far a move is here, from the journal: what it says lasts.
func (a *Agent) moveAt(id string) (fleet.MoveReport, error) {
	source, n, err := fleet.ParseOperationID(id)
	if err != nil {
		return fleet.MoveReport{}, errorf(fleet.CodeInvalid, "%v", err)
	}
	if source != a.hostID {
		a.state.mu.Lock()
		known := false
		n, known = a.state.arrivals[id]
		a.state.mu.Unlock()
		if !known {
			return fleet.MoveReport{State: fleet.MoveUnknown}, nil
		}
	}
	op, there, err := a.journal.Operation(n)
	switch {
	case err != nil:
		return fleet.MoveReport{}, errorf(fleet.CodeInternal, "read operation %d: %v", n, err)
	case !there, op.Moving == nil, op.Moving.ID != id:
		return fleet.MoveReport{State: fleet.MoveUnknown}, nil
	case source == a.hostID:
		return fleet.MoveReport{State: leavingState(&op), Detail: op.Fault}, nil
	default:
		return fleet.MoveReport{State: arrivingState(&op), Detail: op.Fault}, nil
	}
}

// leavingState is how far the source is.
func leavingState(op *journal.Operation) fleet.MoveState {
	switch {
	case op.State == fleet.OperationSucceeded, op.State == fleet.OperationFailed && op.Moving.Given && op.Moving.Retaken == 0:
		return fleet.MoveEnded // also where its own machine stays, superseded
	case op.Moving.Retaken != 0, op.State == fleet.OperationFailed && !op.Moving.Given:
		return fleet.MoveWithdrawn
	case op.Moving.Given:
		return fleet.MoveGiven
	default:
		return fleet.MoveOpen
	}
}

// arrivingState is how far the destination is.
func arrivingState(op *journal.Operation) fleet.MoveState {
	switch {
	case op.Moving.Taken && op.State != fleet.OperationRunning:
		return fleet.MoveOwned // also where its mark could not be written
	case op.State == fleet.OperationFailed:
		return fleet.MoveFailed
	case op.Step == stepReady, op.Moving.Taken:
		return fleet.MoveReady
	default:
		return fleet.MoveComing
	}
}

// leavingDisk finds a disk that is on its way to another host.
func (a *Agent) leavingDisk(sha256 string) (disk fleet.ImageFile, path string, ok bool) {
	a.state.mu.Lock()
	defer a.state.mu.Unlock()
	for id, op := range a.state.busy {
		if op.Moving == nil || op.Arrives() {
			continue
		}
		for i := range op.Moving.Disks {
			if d := &op.Moving.Disks[i]; d.SHA256 == sha256 {
				return d.ImageFile, a.diskPath(id, d), true
			}
		}
	}
	return disk, "", false
}

// openRange reads a part of a file. Leave is called when it is closed, or at once
// on an error.
func openRange(path string, offset, length int64, leave func()) (io.ReadCloser, error) {
	file, err := os.Open(path)
	if err != nil {
		leave()
		return nil, errorf(fleet.CodeNotFound, "the disk is not laid out any more: %v", err)
	}
	return &given{&fileRange{io.NewSectionReader(file, offset, length), file}, leave}, nil
}

type fileRange struct {
	io.Reader
	io.Closer
}
