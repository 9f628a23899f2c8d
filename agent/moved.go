package agent

import (
	"context"
	"maps"
	"slices"
	"time"

	"grapevine/fleet"
	"grapevine/internal/pause"
)

// settleEvery is how often the hosts are asked that instances came from.
const settleEvery = 2 * time.Second

// keepMoved ends what is left of moves to this host, which owns the instance: it
// has the instance's idempotency key lead here, and forgets the move when the host
// that it came from is through with it.
func (a *Agent) keepMoved(ctx context.Context) error {
	for pause.For(ctx, settleEvery) {
		for _, n := range a.unsettled() {
			if err := a.settleMove(ctx, n); err != nil && ctx.Err() == nil {
				a.log.Debug("move not settled yet", "operation", fleet.OperationID(a.hostID, n), "error", err)
			}
		}
	}
	return nil
}

func (a *Agent) unsettled() []uint64 {
	a.state.mu.Lock()
	defer a.state.mu.Unlock()
	var out []uint64
	for _, n := range a.state.arrivals {
		out = append(out, n)
	}
	slices.Sort(out)
	return out
}

// settleMove does what is left of one move that has ended here.
func (a *Agent) settleMove(ctx context.Context, n uint64) error {
	op, there, err := a.journal.Operation(n)
	switch {
	case err != nil:
		return err
	case !there: // it failed, a day ago
		a.forgetMoves(n)
		return nil
	case op.State == fleet.OperationRunning:
		return nil
	}
	if op.Unsettled() {
		if err := a.leadHere(ctx, &op); err != nil {
			return err
		}
	}
	word, err := a.askSource(ctx, &op)
	switch {
	case err != nil && !a.givenUpNow(op.Moving.Source):
		return err
	case err == nil && (word == fleet.MoveOpen || word == fleet.MoveGiven):
		return nil
	}
	op.Moving.Settled = true
	if err := a.journal.Step(op); err != nil {
		return err
	}
	a.forgetMoves(n)
	return nil
}

func (a *Agent) forgetMoves(n uint64) {
	a.state.mu.Lock()
	defer a.state.mu.Unlock()
	maps.DeleteFunc(a.state.arrivals, func(_ string, held uint64) bool { return held == n })
}
