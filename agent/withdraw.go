package agent

import (
	"context"
	"time"

	"grapevine/agent/journal"
	"grapevine/fleet"
)

// Withdraw implements api.Node. What is there stays. What is not is refused up to
// the attempt, in the journal, before the answer is given: a proposal that is
// still on its way comes too late.
func (a *Agent) Withdraw(ctx context.Context, id fleet.InstanceID, ask fleet.Withdraw) (fleet.Withdrawn, error) {
	if err := a.settled(); err != nil {
		return fleet.Withdrawn{}, err
	}
	unlock := a.keys.lock(id)
	defer unlock()
	if a.elsewhere(id) != "" {
		return fleet.Withdrawn{There: true}, nil
	}
	there, deleted, whole := a.has(id)
	switch {
	case there:
		return fleet.Withdrawn{There: true}, nil
	case !whole:
		return fleet.Withdrawn{}, errorf(fleet.CodeHypervisorUnreachable, "host %s has not seen its hypervisor's machines yet", a.name())
	case !deleted && !ask.Surely:
		return fleet.Withdrawn{}, nil
	}
	a.state.mu.Lock()
	a.state.ledger.Refuse(fleet.Proposal{Request: fleet.Request{ID: id}, Attempt: ask.Attempt})
	a.state.mu.Unlock()
	if err := a.promises(ctx).Refuse(journal.Refusal{Instance: id, Attempt: ask.Attempt, At: time.Now()}); err != nil {
		return fleet.Withdrawn{}, errorf(fleet.CodeInternal, "%v", err)
	}
	return fleet.Withdrawn{Refused: true}, nil
}

// has reports whether this host has an instance or a claim for it, or does
// something to it, or knows which host it was moved to; whether it was deleted
// here; and whether all machines are known.
func (a *Agent) has(id fleet.InstanceID) (there, deleted, whole bool) {
	a.state.mu.Lock()
	defer a.state.mu.Unlock()
	picture := a.observer.Picture()
	_, seen := picture.Machines[id]
	d, deleted := a.state.deleted[id]
	there = seen || a.state.ledger.Claim(id) != nil || a.state.busy[id] != nil || !d.To.IsZero()
	return there, deleted, picture.Complete
}
