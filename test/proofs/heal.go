package proofs

import (
	"context"
	"fmt"
	"time"

	"grapevine/fleet"
)

// Heal mends everything, waits until all is done and told, and checks all
// promises.
func (h *History) Heal() error {
	h.note("heal")
	h.mendWhatIsDue(forever)
	h.ops.Wait()
	var err error
	for began := time.Now(); time.Since(began) < quietWithin; time.Sleep(500 * time.Millisecond) {
		if err = h.quiet(); err == nil {
			if err = h.lead(); err != nil {
				time.Sleep(10 * time.Second) // it costs more than a look
			}
		}
		if err == nil {
			h.oracle.retire(h.look())
			clear(h.drains)
			h.size.measure(time.Since(h.began))
			return nil
		}
	}
	return fmt.Errorf("%v after everything was healed: %w", quietWithin, err)
}

// quiet checks the promises by what every registry shows.
func (h *History) quiet() error {
	if err := h.heard(); err != nil {
		return err
	}
	for _, r := range h.Registries {
		ctx, cancel := context.WithTimeout(context.Background(), answerWithin)
		hosts, err := r.Client.Hosts(ctx)
		if err != nil {
			cancel()
			return err
		}
		rows, err := r.Client.AllInstances(ctx, fleet.InstanceQuery{})
		cancel()
		if err != nil {
			return err
		}
		if err := h.emptied(hosts.Items); err != nil {
			return err
		}
		for i := range rows.Items {
			if rows.Items[i].Task != fleet.TaskNone {
				return fmt.Errorf("instance %s is %s", rows.Items[i].ID, rows.Items[i].Task)
			}
		}
		if err := h.oracle.healed(h.World, hosts.Items, rows.Items); err != nil {
			return fmt.Errorf("by %s: %w", r.Name, err)
		}
	}
	return h.oracle.always(h.World)
}
