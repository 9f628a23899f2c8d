package agent

import (
	"context"
	"reflect"
	"sync"
	"time"

	"grapevine/agent/quarantine"
	"grapevine/fleet"
	"grapevine/internal/pause"
	"grapevine/mesh"
)

// trust is what the agent has made of its host's return in this life.
type trust struct {
	judging sync.Mutex
	// weighed: what peers told of the host's absence has been judged.
	weighed bool // guarded by judging
	once    sync.Once
	given   chan struct{} // closed when the host was first judged and is not in quarantine
}

// trusted is closed once the hypervisor has been seen and the host may be
// trusted with what it did before it went away.
func (a *Agent) trusted() <-chan struct{} {
	both := make(chan struct{})
	a.operations.Go(func() {
		for _, c := range []<-chan struct{}{a.observer.Complete(), a.trust.given} {
			select {
			case <-a.running.Done():
				return
			case <-c:
			}
		}
		close(both)
	})
	return both
}

// returning is the journal's store of epochs, where the host's return is judged
// before anything is published in a new one: nobody is to see a host that is
// trusted before it was looked at.
type returning Agent

var _ mesh.EpochStore = (*returning)(nil)

// LoadEpoch implements mesh.EpochStore.
func (r *returning) LoadEpoch() (epoch, incarnation uint64, err error) { return r.journal.LoadEpoch() }

// StoreEpoch implements mesh.EpochStore.
func (r *returning) StoreEpoch(epoch, incarnation uint64) error {
	if err := r.journal.StoreEpoch(epoch, incarnation); err != nil {
		return err
	}
	return (*Agent)(r).judge()
}

// How often the return is judged: often while peers are being waited for, and
// then as often as twins are looked for, which costs a look-up for each machine.
const (
	judgeSoon = 100 * time.Millisecond
	judgeRest = 2 * time.Second
)

// keepJudged judges the host's return for as long as the agent runs.
func (a *Agent) keepJudged(ctx context.Context) error {
	every := judgeSoon
	for pause.UpTo(ctx, every) {
		if !a.mesh.Settled() {
			continue // it is judged when the epoch is stored
		}
		if err := a.judge(); err != nil {
			a.log.Error("return of the host not judged", "error", err)
		}
		a.state.mu.Lock()
		every = judgeRest
		if a.state.back.On() && len(a.state.back.Conflicts()) == 0 {
			every = judgeSoon
		}
		a.state.mu.Unlock()
	}
	return nil
}

// judge looks at what is known of the host's return, makes durable what follows
// and publishes it.
func (a *Agent) judge() error {
	a.trust.judging.Lock()
	defer a.trust.judging.Unlock()
	facts := a.facts()
	a.state.mu.Lock()
	held, was := a.state.back, a.state.verdict
	a.state.mu.Unlock()
	next, verdict := quarantine.Judge(held, &facts)
	if err := a.adoptState(held, next, verdict); err != nil {
		return err
	}
	a.trust.weighed = a.trust.weighed || facts.Told
	a.raise(&facts)
	if !reflect.DeepEqual(held, next) || !reflect.DeepEqual(was, verdict) {
		a.tellReturn(&held, &next, &was, &verdict)
		a.publish()
	}
	if !next.On() {
		a.trust.once.Do(func() { close(a.trust.given) })
	}
	return nil
}

// adoptState makes a state durable and then the agent's. A quarantine that could
// not be written begins all the same; it does not end so.
func (a *Agent) adoptState(held, next quarantine.State, verdict quarantine.Verdict) error {
	var err error
	if !reflect.DeepEqual(held, next) {
		if err = a.journal.SetQuarantine(next); err != nil && held.On() {
			return err
		}
	}
	a.state.mu.Lock()
	defer a.state.mu.Unlock()
	a.state.back, a.state.verdict = next, verdict
	return err
}

// raise leaves an epoch in which somebody has given up this host, so that others
// see that it is back.
func (a *Agent) raise(f *quarantine.Facts) {
	published := a.mesh.Replica().Version(a.hostID).Epoch
	for i := range f.Decisions {
		if published > 0 && f.Decisions[i].Covers.Epoch >= published {
			a.mesh.Raise()
			return
		}
	}
}

// facts are what is known of the host's return now.
func (a *Agent) facts() quarantine.Facts {
	back := a.mesh.Returned()
	a.state.mu.Lock()
	cleared := a.state.back.Cleared
	a.state.mu.Unlock()
	f := quarantine.Facts{
		Now: time.Now(), New: back.Epoch == 0 && !back.Held,
		Told: back.Held && !a.trust.weighed, Blank: back.Epoch == 0, Early: time.Since(a.started) <= a.witnessing.life, Age: back.Age, AgeKnown: back.AgeKnown,
		Decisions: a.View.Covering(a.hostID, cleared+1), Boot: a.boots.pending(),
		Others: back.Others, Merged: back.Merged, Whole: back.Whole, Alone: back.Alone,
	}
	a.state.mu.Lock()
	for id, m := range a.observer.Picture().Machines {
		if a.state.busy[id].UnderWay() {
			continue // whose it is, the two hosts of the move know
		}
		c := quarantine.Copy{ID: id, Host: a.hostID, Runs: m.Power.Awake()}
		if m.Mark != nil {
			c.Managed, c.Generation = true, m.Mark.Generation
		}
		f.Here = append(f.Here, c)
	}
	for _, claim := range a.state.ledger.Claims() {
		if _, built := a.observer.Machine(claim.ID()); !built && !a.state.busy[claim.ID()].UnderWay() {
			f.Here = append(f.Here, quarantine.Copy{ID: claim.ID(), Host: a.hostID, Generation: max(claim.Proposal.Generation, 1), Managed: true})
		}
	}
	a.state.mu.Unlock()
	for i := range f.Here {
		f.Elsewhere = a.copies(f.Elsewhere, f.Here[i].ID)
	}
	return f
}

// copies appends what other hosts show of an instance. A host that was given up
// in its present life does not count.
func (a *Agent) copies(list []quarantine.Copy, id fleet.InstanceID) []quarantine.Copy {
	for _, b := range a.mesh.Replica().Instance(id) {
		host := b.HostID()
		row, ok := b.Instance(id)
		if !ok || host == a.hostID || len(a.View.Covering(host, b.Version().Epoch)) > 0 {
			continue
		}
		list = append(list, quarantine.Copy{
			ID: id, Host: host, Generation: row.Generation, Runs: row.Power.Awake(), Managed: row.Ownership == fleet.Managed,
			Heard: a.View.Heard(host), Superseded: !row.SupersededBy.IsZero(),
		})
	}
	return list
}
