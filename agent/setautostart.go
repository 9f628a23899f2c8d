package agent

import (
	"context"
	"fmt"

	"grapevine/agent/journal"
	"grapevine/agent/observer"
	"grapevine/drivers"
	"grapevine/fleet"
)

// SetAutostart implements api.Writer for the machines of this host. It is in the
// machine's own mark, where an agent without a journal finds it.
func (a *Agent) SetAutostart(ctx context.Context, id fleet.InstanceID, ask fleet.Booting) (fleet.Accepted, error) {
	if err := fleet.CheckBooting(ask); err != nil {
		return fleet.Accepted{}, err
	}
	w := &work{verb: fleet.VerbAutostart}
	return a.begin(ctx, id, w, func(row *fleet.Instance, picture *observer.Picture) error {
		machine, built := picture.Machines[id]
		if err := ours(row, built); err != nil || !built {
			return err
		}
		w.mark = machine.Mark.Clone()
		w.mark.Autostart, w.mark.StartOrder = ask.Autostart, ask.StartOrder
		return nil
	})
}

// remark writes the mark that the operation has.
func (a *Agent) remark(ctx context.Context, op *journal.Operation) error {
	if op.Mark == nil {
		return fmt.Errorf("%s: %w", op.Verb, drivers.ErrForeign)
	}
	if err := a.driver.Adopt(ctx, op.Instance, *op.Mark); err != nil {
		return fmt.Errorf("%s: %w", op.Verb, err)
	}
	return nil
}
