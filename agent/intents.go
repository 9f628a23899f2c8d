package agent

import (
	"context"
	"time"

	"grapevine/api"
	"grapevine/fleet"
	"grapevine/internal/pause"
)

const (
	// intentsEvery is how often, at most, this host looks for what is intended
	// with its instances, and intentsAgain when it tries again what did not work.
	intentsEvery = time.Second
	intentsAgain = 30 * time.Second
)

// IntendDelete implements api.Writer: an instance whose host cannot be heard is
// to be deleted by it when it is back.
func (a *Agent) IntendDelete(ctx context.Context, id fleet.InstanceID, ask fleet.Decide, who api.Principal) (fleet.Decided, error) {
	if err := a.settled(); err != nil {
		return fleet.Decided{}, err
	}
	by, err := wordOf(ask.By, who)
	if err != nil {
		return fleet.Decided{}, err
	}
	row, err := a.Instance(ctx, id)
	switch {
	case err != nil:
		return fleet.Decided{}, err
	case row.DeleteIntent != nil:
		return a.hold(ctx, *row.DeleteIntent) // it is said already: the same request, sent again
	case row.Ownership == fleet.Foreign:
		return fleet.Decided{}, notManaged(&row)
	case row.Task == fleet.TaskMigrating:
		return fleet.Decided{}, errorf(fleet.CodeConflict, "instance %s is on its way from host %s to another one; delete it when that is over", id, row.HostName)
	case row.Host == a.hostID || a.Heard(row.Host):
		return fleet.Decided{}, errorf(fleet.CodeConflict, "host %s, which has instance %s, can be heard; delete the instance there now, at its agent or a registry", row.HostName, id)
	}
	return a.accept(ctx, fleet.Record{
		Kind: fleet.DeleteIntent, Subject: id, Name: row.Name, Covers: a.mesh.Replica().Version(row.Host),
		Generation: row.Generation, CreatedAt: row.CreatedAt,
	}, by, ask.Reason)
}

// keepIntents does what is intended with instances of this host, once it is
// trusted with what it has.
func (a *Agent) keepIntents(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-a.trusted():
	}
	tried := map[fleet.InstanceID]time.Time{}
	again := time.NewTicker(intentsAgain)
	defer again.Stop()
	for {
		changed := a.mesh.Replica().Changed()
		a.doIntended(ctx, tried)
		select {
		case <-ctx.Done():
			return nil
		case <-again.C:
		case <-changed:
			if !pause.UpTo(ctx, intentsEvery) {
				return nil
			}
		}
	}
}

// doIntended begins the deletes that are intended and not done. Whether a machine
// is still the one that is meant is judged by this host's own row. Tried says
// when one was begun last.
func (a *Agent) doIntended(ctx context.Context, tried map[fleet.InstanceID]time.Time) {
	intended := a.Intended(a.hostID)
	if len(intended) == 0 || a.settled() != nil || a.hostRow().State == fleet.HostQuarantined {
		return
	}
	block := a.mesh.Replica().Block(a.hostID)
	for i := range intended {
		r := &intended[i]
		row, there := block.Instance(r.Subject)
		if !there || !r.Means(&row) || !row.SupersededBy.IsZero() || row.Task != fleet.TaskNone || time.Since(tried[r.Subject]) < intentsAgain {
			continue
		}
		tried[r.Subject] = time.Now()
		if _, err := a.DeleteInstance(ctx, r.Subject); err != nil {
			a.log.Warn("delete intent not honoured yet", "instance", r.Subject, "record", r.ID, "error", err)
			continue
		}
		a.log.Info("delete intent honoured", "instance", r.Subject, "name", row.Name, "record", r.ID, "by", r.By, "why", r.Why)
	}
}
