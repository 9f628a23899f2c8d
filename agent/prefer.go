package agent

import (
	"context"
	"fmt"

	"grapevine/agent/journal"
	"grapevine/drivers"
	"grapevine/fleet"
)

// contested reports whether another copy of an instance counts, or may.
func contested(row *fleet.Instance) bool {
	return row.Ownership == fleet.Managed && (!row.SupersededBy.IsZero() || !row.Twin.IsZero())
}

// preferred is the mark with which a copy here counts in place of all others: in
// a generation above theirs, as everybody can see.
func (a *Agent) preferred(m *drivers.Machine) *drivers.Mark {
	mark := m.Mark.Clone()
	highest := mark.Generation
	for _, b := range a.mesh.Replica().Instance(m.ID) {
		if row, ok := b.Instance(m.ID); ok {
			highest = max(highest, row.Generation)
		}
	}
	mark.Generation = highest + 1
	return mark
}

// prefer writes such a mark. Who reads it first sees that the copy counts.
func (a *Agent) prefer(ctx context.Context, op *journal.Operation) error {
	if err := a.driver.Adopt(ctx, op.Instance, *op.Mark); err != nil {
		return fmt.Errorf("adopt: %w", err)
	}
	return nil
}
