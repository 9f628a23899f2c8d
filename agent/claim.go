package agent

import (
	"context"
	"fmt"
	"time"

	"grapevine/agent/journal"
	"grapevine/agent/ledger"
	"grapevine/agent/observer"
	"grapevine/fleet"
	"grapevine/internal/tracing"
)

// Claim implements api.Node: it judges a proposal against the host as it is
// now, and answers once the promise, or the refusal, is durable.
func (a *Agent) Claim(ctx context.Context, p fleet.Proposal) (fleet.Accepted, error) {
	if err := p.Validate(); err != nil {
		return fleet.Accepted{}, err
	}
	if err := a.settled(); err != nil {
		return fleet.Accepted{}, err
	}
	unlock := a.keys.lock(p.ID)
	defer unlock()

	if accepted, known, err := a.answered(p); known {
		return accepted, err
	}
	if err := a.complete(ctx, &p); err != nil {
		return fleet.Accepted{}, err
	}
	p.Obtain = a.obtainable(ctx, p.Image)
	a.succeed(&p)
	op, claim, refusals := a.admit(ctx, p)
	if len(refusals) > 0 {
		if err := written(ctx, "refuse", func() error { return a.keepRefusal(&p, refusals) }); err != nil {
			return fleet.Accepted{}, errorf(fleet.CodeInternal, "%v", err)
		}
		a.metrics.refusals.Inc()
		host := a.hostRow()
		return fleet.Accepted{}, refused(&host, refusals)
	}
	if err := written(ctx, "begin", func() error { return a.promised(ctx, op).Begin(*op, claim) }); err != nil {
		a.withdraw(p.ID)
		return fleet.Accepted{}, errorf(fleet.CodeInternal, "%v", err)
	}
	a.metrics.claims.Inc()
	return a.launch(ctx, op), nil
}

// keepRefusal makes durable that a proposal was refused for good, and that this
// host has given up to be the anchor of its group, where it has.
func (a *Agent) keepRefusal(p *fleet.Proposal, refusals []fleet.Refusal) error {
	if err := a.journal.Refuse(journal.Refusal{Instance: p.ID, Attempt: p.Attempt, At: time.Now()}); err != nil {
		return err
	}
	if _, given := fleet.FindRefusal(refusals, fleet.RefuseAnchor); !given {
		return nil
	}
	anchor := fleet.AnchorKey(p.Group.ID)
	a.state.mu.Lock()
	attempt := a.state.ledger.Refused(anchor)
	a.state.mu.Unlock()
	return a.journal.Refuse(journal.Refusal{Instance: anchor, Attempt: attempt, At: time.Now()})
}

// answered returns the answer to a proposal that the host has taken before:
// the same request gets the same answer.
func (a *Agent) answered(p fleet.Proposal) (fleet.Accepted, bool, error) {
	a.state.mu.Lock()
	sighting, seen := a.observer.Machine(p.ID)
	claim := a.state.ledger.Claim(p.ID)
	deletion, deleted := a.state.deleted[p.ID]
	busy := a.state.busy[p.ID]
	comes := busy.Arrives()
	a.state.mu.Unlock()

	var hash, operation string
	switch {
	case comes: // and is not this host's yet
		return fleet.Accepted{}, true, errorf(fleet.CodeBusy, "instance %s comes from another host (operation %s); send this again when it is here", p.ID, busy.ID)
	case claim != nil:
		hash, operation = claim.Proposal.RequestHash, claim.Operation
	case seen && sighting.Mark == nil:
		return fleet.Accepted{}, false, nil
	case seen:
		hash = sighting.Mark.RequestHash
		if busy != nil {
			operation = busy.ID
		}
	case busy != nil:
		return fleet.Accepted{}, true, errorf(fleet.CodeBusy, "instance %s is %s (operation %s); wait for it to end", p.ID, taskOf(busy), busy.ID)
	case deleted && !deletion.To.IsZero():
		return fleet.Accepted{}, true, a.moved(&deletion)
	case deleted && deletion.RequestHash == p.RequestHash:
		return fleet.Accepted{}, true, errorf(fleet.CodeGone,
			"instance %s was created by this request before and has been deleted; use another idempotency key for a new one", p.ID)
	default:
		return fleet.Accepted{}, false, nil
	}
	if hash != p.RequestHash {
		return fleet.Accepted{}, false, nil
	}
	return a.accepted(p.ID, operation), true, nil
}

// admit books the proposal, or says why not, as the host is at this moment.
func (a *Agent) admit(ctx context.Context, p fleet.Proposal) (*journal.Operation, *ledger.Claim, []fleet.Refusal) {
	_, span := tracing.Start(ctx, "admit")
	op, claim, refusals := a.book(p)
	if span.Recording() {
		span.Text("grapevine.instance", p.ID.String())
		span.Text("grapevine.project", p.Project)
		if len(refusals) > 0 {
			span.Fail(string(refusals[0].Code))
		}
	}
	span.End(nil)
	return op, claim, refusals
}

// book does what admit says.
func (a *Agent) book(p fleet.Proposal) (*journal.Operation, *ledger.Claim, []fleet.Refusal) {
	elsewhere := a.elsewhere(p.ID)
	a.state.mu.Lock()
	defer a.state.mu.Unlock()
	picture := a.observer.Picture()
	host := a.state.settle(&picture)
	op := a.state.newOperation(host.ID, p.ID, verbCreate)
	op.Image = p.Image
	if duplicate := a.state.duplicate(p.ID, &picture, elsewhere); duplicate != "" {
		a.state.ledger.Refuse(p)
		return nil, nil, []fleet.Refusal{{Code: fleet.RefuseDuplicate, Detail: duplicate}}
	}
	if !picture.Complete {
		a.state.ledger.Refuse(p)
		return nil, nil, []fleet.Refusal{{
			Code: fleet.RefuseHypervisorUnreachable, Detail: "it has not seen its hypervisor's machines yet",
		}}
	}
	claim, refusals := a.state.ledger.Admit(&host, p, op.ID)
	if claim != nil {
		a.state.busy[p.ID] = op
	}
	return op, claim, refusals
}

// duplicate says who has the id already, where it is not this request that
// has; nothing when nobody does. The caller holds the lock.
func (s *state) duplicate(id fleet.InstanceID, picture *observer.Picture, elsewhere string) string {
	sighting, seen := picture.Machines[id]
	_, deleted := s.deleted[id]
	switch {
	case elsewhere != "":
		return fmt.Sprintf("host %s shows an instance with this id", elsewhere)
	case seen && sighting.Mark == nil:
		return "it has a foreign machine with this id"
	case seen, deleted, s.ledger.Claim(id) != nil:
		return "it has this id for another request"
	default:
		return ""
	}
}

// elsewhere returns the name of another host that shows the instance, empty
// for none. A host that somebody gave up in the epoch shown, or a later one, does
// not count: what it had may be made anew.
func (a *Agent) elsewhere(id fleet.InstanceID) string {
	for _, block := range a.mesh.Replica().Instance(id) {
		if block.HostID() != a.hostID && !a.givenUp(block.HostID(), block.Version().Epoch) {
			return a.View.HostName(block.HostID())
		}
	}
	return ""
}

// succeed raises the generation of an instance that is made anew above that of
// its copies on hosts that were given up: should one come back, it is told from
// its successor.
func (a *Agent) succeed(p *fleet.Proposal) {
	p.Generation = 1
	for _, block := range a.mesh.Replica().Instance(p.ID) {
		if row, ok := block.Instance(p.ID); ok && block.HostID() != a.hostID {
			p.Generation = max(p.Generation, row.Generation+1)
		}
	}
}

// refused is the error of a refusal, with the host's fresh row.
func refused(host *fleet.Host, refusals []fleet.Refusal) error {
	verdict := fleet.Verdict{Host: host.ID, HostName: host.Name, Refusals: refusals}
	return &fleet.Error{
		Code:     fleet.CodeRefused,
		Detail:   "host " + verdict.String(),
		Refusals: refusals,
		Host:     host,
		Verdicts: []fleet.Verdict{verdict},
	}
}

// accepted is the answer for an instance that the host has, as it is now.
func (a *Agent) accepted(id fleet.InstanceID, operation string) fleet.Accepted {
	version, rows := a.publish()
	out := fleet.Accepted{Operation: operation, Version: version}
	for i := range rows.Instances {
		if rows.Instances[i].ID == id {
			out.Instance = rows.Instances[i]
			out.Instance.HostName = rows.Host.Name
			out.Instance.Version = version
			out.Instance.Reachability = fleet.ReachOK
		}
	}
	return out
}

// hostRow returns the host's row as it is now.
func (a *Agent) hostRow() fleet.Host {
	rows, _ := a.rows()
	host := rows.Host
	host.Reachability = fleet.ReachOK
	return host
}
