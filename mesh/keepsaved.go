package mesh

import (
	"context"
	"time"

	"grapevine/mesh/replica"
	"grapevine/mesh/saved"
)

// saveEvery is how often what is held of the fleet is saved, where it has
// changed: what a power cut of a whole site takes from the copy is at most so
// old, and a host that stayed down has long been silent by then.
// The first save comes sooner: sites lose power again soon after it is back.
const (
	saveFirst = 30 * time.Second
	saveEvery = 5 * time.Minute
)

// loadSaved fills an empty replica with what the last life saved. What is lost
// of it the mesh tells again.
func loadSaved(cfg *Config, r *replica.Replica) {
	if cfg.SavedFleet == "" {
		return
	}
	hosts, err := saved.Load(cfg.SavedFleet, r, time.Now())
	if err != nil {
		cfg.Log.Warn("a part of the saved fleet is lost, and will be heard again", "hosts", hosts, "error", err)
	}
}

// keepSaved saves what this node holds every few minutes, and once more at its
// end. A save that fails is logged: the next one may not.
func (m *Mesh) keepSaved(ctx context.Context) {
	tick := time.NewTimer(saveFirst)
	defer tick.Stop()
	for last, going := m.replica.Root(), true; going; {
		select {
		case <-tick.C:
			tick.Reset(saveEvery)
		case <-ctx.Done():
			going = false
		}
		root := m.replica.Root()
		if root == last {
			continue
		}
		if err := saved.Save(m.cfg.SavedFleet, m.replica, m.cfg.ID, time.Now()); err != nil {
			m.cfg.Log.Warn("the fleet as it is held could not be saved", "error", err)
			continue
		}
		last = root
	}
}
