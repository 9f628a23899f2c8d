package proofs

import (
	"errors"
	"fmt"

	"grapevine/drivers"
	"grapevine/fleet"
)

// fate is all that is known of one instance from outside: what was asked for
// it, and what came of that.
type fate struct {
	id  fleet.InstanceID
	key string
	ask fleet.Create // what its creates ask for
	lot *lot         // with which it is created, nil for one that is created alone

	pending  int  // requests under way
	accepted bool // a create was promised
	doubted  bool // the outcome of a create is unknown
	deleting bool // a delete was asked for, whatever came of it
	deleted  bool // a delete was accepted
	byHand   bool // a person at a host made it, and it takes room that nobody was asked for
	removed  bool // its machine was removed behind the agent's back
	gone     bool // at the last heal it was nowhere
	over     bool // it is gone, and nothing is asked of it any more
	stopped  bool // it was powered off behind the agent's back, and nobody has started it since

	moved      bool   // a move was asked for since the last heal
	generation uint64 // that it had at the last heal
}

// judge says what of an instance is not as it was promised.
func (f *fate) judge(on []*Host, rows []fleet.Instance) error {
	failed := len(rows) == 1 && rows[0].Fault != "" && len(on) == 0
	switch {
	case len(on) > 1 || len(rows) > 1:
		return fmt.Errorf("%d machines and %d rows", len(on), len(rows))
	case len(on) != len(rows) && !failed:
		return fmt.Errorf("%d machines, and %d rows that show it: %+v", len(on), len(rows), rows)
	case f.accepted && !f.deleting && !f.removed && len(on) == 0 && !failed:
		return errors.New("it was promised, nobody deleted it, and it is not there")
	case f.deleted && len(on)+len(rows) > 0:
		return fmt.Errorf("it was deleted, and is there: %+v", rows)
	case !f.accepted && !f.doubted && len(on)+len(rows) > 0:
		return fmt.Errorf("it was surely refused, and is there: %+v", rows)
	case f.stopped && !f.deleting && len(on) == 1 && rows[0].Power != fleet.PowerStopped:
		return fmt.Errorf("it was powered off by hand, nobody started it, and it is %s", rows[0].Power)
	case len(on) == 1:
		return f.judgeMachine(on[0].machine(f.id), &rows[0])
	default:
		return nil
	}
}

// judgeMachine compares the one machine of an instance with what was asked for
// and with its row.
func (f *fate) judgeMachine(m *drivers.Machine, row *fleet.Instance) error {
	switch {
	case m == nil:
		return errors.New("its machine has just gone")
	case m.Resources.VCPUs != row.VCPUs || m.Resources.MemoryMiB != row.MemoryMiB:
		return fmt.Errorf("its machine has %+v, and the row is %+v", m.Resources, row)
	case m.Mark == nil:
		return nil
	case m.Mark.Generation != row.Generation || row.Generation < f.generation:
		return fmt.Errorf("its machine has generation %d, its row %d, and it had %d before", m.Mark.Generation, row.Generation, f.generation)
	case (f.ask.Group != "") != !m.Mark.Group.IsZero() || f.ask.Group != "" && f.ask.Group != m.Mark.Group.ID.String():
		return fmt.Errorf("it was to be in group %q, and its machine is in %+v", f.ask.Group, m.Mark.Group)
	default:
		return nil
	}
}
