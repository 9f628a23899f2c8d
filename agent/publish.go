package agent

import (
	"context"
	"time"

	"grapevine/agent/observer"
	"grapevine/drivers"
	"grapevine/fleet"
	"grapevine/internal/pause"
	"grapevine/mesh"
)

// outdate says that what was published may be out of date.
func (a *Agent) outdate() {
	select {
	case a.stale <- struct{}{}:
	default:
	}
}

// rows returns the host's account of itself as it is now, and the picture that
// it rests on. The picture is taken under the lock: one from before may lack a
// machine whose claim is released since, and an instance left out of the
// account is gone to all who read it.
func (a *Agent) rows() (mesh.State, observer.Picture) {
	a.state.mu.Lock()
	defer a.state.mu.Unlock()
	picture := a.observer.Picture()
	return a.state.rows(&picture, time.Now()), picture
}

// publish states the host's account and returns it with its version. Before
// the hypervisor has been listed once there is nothing to say, unless it is
// known not to answer: then the machines are as last seen before the restart.
func (a *Agent) publish() (fleet.Version, mesh.State) {
	a.publishing.Lock()
	defer a.publishing.Unlock()
	a.showAudit(time.Now())
	rows, picture := a.rows()
	if !picture.Complete && picture.Fault == "" {
		return fleet.Version{}, rows
	}
	return a.mesh.Publish(rows), rows
}

// settleFor is how long, at most, a change that the hypervisor told of waits for the ones
// that come with it: a build alone is several, between two that are published
// at once.
const settleFor = 30 * time.Millisecond

// saveEvery bounds how old the journal's copy of the picture is.
const saveEvery = time.Second

// keepPublished publishes whenever something changed, checks that the host is
// still the one the journal is bound to, and keeps a copy of the picture for a
// restart without a hypervisor.
func (a *Agent) keepPublished(ctx context.Context) error {
	save := time.NewTicker(saveEvery)
	defer save.Stop()
	unsaved := false
	attached := drivers.Description{} // as last checked against the journal
	for {
		select {
		case <-ctx.Done():
			_ = a.save() // said in the log, and the last copy stands
			return nil
		case <-a.stale:
			if !pause.UpTo(ctx, settleFor) {
				continue
			}
			if d := a.observer.Description(); d.Hardware != attached.Hardware || d.HostID != attached.HostID {
				if err := a.attach(d); err != nil {
					return err
				}
				attached = d
			}
			a.publish()
			a.tellReady()
			unsaved = true
		case <-save.C:
			a.tellReady()
			if unsaved || a.past.aged(time.Now()) {
				unsaved = a.save() != nil
			}
		}
	}
}

// save keeps a copy of the picture, once there is one.
func (a *Agent) save() error {
	p := a.observer.Picture()
	if !p.Complete || p.Fault != "" {
		return nil
	}
	if err := a.noteBoot(&p); err != nil {
		a.log.Error("boot of the host not written", "error", err)
		return err
	}
	if err := a.journal.SaveSeen(a.past.take(&p, time.Now())); err != nil {
		a.log.Error("copy of what was seen not written", "error", err)
		return err
	}
	return nil
}

// recall hands the observer what was seen before the restart.
func (a *Agent) recall() error {
	seen, ok, err := a.journal.Seen()
	if err != nil {
		return err
	}
	a.past.restore(&seen)
	if err := a.recallBoot(); err != nil || !ok {
		return err
	}
	p := observer.Picture{
		Description: seen.Host.Description, Images: seen.Host.Images,
		Machines: make(map[fleet.InstanceID]observer.Sighting, len(seen.Machines)),
	}
	for _, m := range seen.Machines {
		p.Machines[m.ID] = observer.Sighting{Machine: m.Machine, At: m.At}
	}
	a.observer.Recall(p)
	return nil
}

// tellReady calls Ready once, when others can see the host.
func (a *Agent) tellReady() {
	if a.ready == nil || a.mesh.Ready() != nil || a.mesh.Replica().Block(a.hostID) == nil {
		return
	}
	a.ready()
	a.ready = nil
}

// janitorEvery is how often old entries of the journal are looked for, and
// keepEntries how long they are kept: as long as a home keeps its keys.
const (
	janitorEvery = time.Minute
	keepEntries  = 24 * time.Hour
)

// keepTidy drops from the journal what has become too old to matter, and has others
// hold what too few hold any more.
func (a *Agent) keepTidy(ctx context.Context) error {
	for pause.For(ctx, janitorEvery) {
		if a.auditUnshown() {
			a.outdate()
		}
		if err := a.tidy(time.Now()); err != nil {
			a.log.Error("journal not tidied", "error", err)
		}
		a.replaceHolders(ctx)
		a.trimCache(ctx, 0)
	}
	return nil
}

func (a *Agent) tidy(now time.Time) error {
	if err := a.sweepKeys(now); err != nil {
		return err
	}
	if err := a.sweepRecords(now); err != nil {
		return err
	}
	if err := a.sweepGrants(); err != nil {
		return err
	}
	if err := a.spool.Tidy(now.Add(-keepEntries)); err != nil {
		return err
	}
	pruned, err := a.journal.Prune(now.Add(-keepEntries))
	if err != nil {
		return err
	}
	a.state.mu.Lock()
	defer a.state.mu.Unlock()
	for _, id := range pruned.Refusals {
		a.state.ledger.Forget(id)
	}
	for _, id := range pruned.Deletions {
		delete(a.state.deleted, id)
	}
	return nil
}
