package agent

import (
	"context"
	"slices"
	"sync"
	"time"

	"grapevine/agent/witness"
	"grapevine/api/client"
	"grapevine/fleet"
	"grapevine/grants/ask"
)

// witnessing is what the agent does as a witness, and as one who asks witnesses.
type witnessing struct {
	asker  ask.Asker
	keeper ask.Keeper
	// life is fleet.GrantLife, shorter in tests.
	life time.Duration
	told chan struct{} // there is a newer set

	// homing is held for reading while this agent decides about a key as its home,
	// and for writing when it stops being one.
	homing  sync.RWMutex
	retired bool // guarded by homing: it decides no more

	mu    sync.Mutex
	set   fleet.WitnessSet // guarded by mu: as in the journal
	watch *witness.Watch   // used by the janitor alone
}

// openWitnessing takes up what the journal has.
func (a *Agent) openWitnessing(life time.Duration) error {
	w := &a.witnessing
	w.life, w.told, w.watch = life, make(chan struct{}, 1), witness.NewWatch()
	if w.life == 0 {
		w.life = fleet.GrantLife
	}
	w.asker.Name = a.HostName
	w.asker.Witness = func(id fleet.HostID) (ask.Witness, error) { return a.node(id) }
	w.keeper = ask.Keeper{
		Asker: &w.asker, Heard: a.WitnessSet, Hosts: a.HostIDs, Named: a.HostNamed, Follows: a.Follows, Node: a.node,
	}
	office, err := a.journal.Office()
	if err != nil {
		return err
	}
	follows, err := a.journal.Follows()
	if err != nil {
		return err
	}
	w.set, w.retired = office.Set, !office.Set.IsZero()
	a.state.base.Follows = follows
	a.showSet(office.Set)
	return nil
}

// node returns the agent of a host, which may be this one.
func (a *Agent) node(id fleet.HostID) (ask.Node, error) {
	if id == a.hostID {
		return a, nil
	}
	peer, err := a.Peer(id)
	if err != nil {
		return nil, err
	}
	return peer, nil
}

var (
	_ ask.Node = (*Agent)(nil)
	_ ask.Node = (*client.Client)(nil)
)

// witnessSet returns the newest set that is known here.
func (a *Agent) witnessSet() fleet.WitnessSet {
	a.witnessing.mu.Lock()
	set := a.witnessing.set
	a.witnessing.mu.Unlock()
	if heard := a.WitnessSet(); heard.Number > set.Number {
		set = heard
	}
	return a.witnessing.asker.Newest(set)
}

// isNews reports whether a set is newer than what the journal has.
func (a *Agent) isNews(set *fleet.WitnessSet) bool {
	a.witnessing.mu.Lock()
	defer a.witnessing.mu.Unlock()
	return set.Number > a.witnessing.set.Number
}

// showSet puts the set into the host's row, where the host is a witness.
func (a *Agent) showSet(set fleet.WitnessSet) {
	a.state.mu.Lock()
	defer a.state.mu.Unlock()
	a.state.base.Witnesses = nil
	if set.Has(a.hostID) {
		a.state.base.Witnesses = &set
	}
}

// Witnesses implements api.WitnessKeeper.
func (a *Agent) Witnesses(ctx context.Context) (fleet.WitnessReport, error) {
	return a.witnessing.keeper.Witnesses(ctx)
}

// ChangeWitnesses implements api.WitnessKeeper.
func (a *Agent) ChangeWitnesses(ctx context.Context, change fleet.WitnessChange) (fleet.WitnessReport, error) {
	if err := a.mesh.Whole(); err != nil {
		return fleet.WitnessReport{}, errorf(fleet.CodeNotReady, "host %s does not know all hosts yet: %v; try again in a moment", a.name(), err)
	}
	return a.witnessing.keeper.ChangeWitnesses(ctx, change)
}

// WitnessState implements api.Witness.
func (a *Agent) WitnessState(context.Context) (fleet.WitnessState, error) {
	office, err := a.journal.Office()
	if err != nil {
		return fleet.WitnessState{}, errorf(fleet.CodeInternal, "%v", err)
	}
	keys, err := a.journal.CountGrants()
	if err != nil {
		return fleet.WitnessState{}, errorf(fleet.CodeInternal, "%v", err)
	}
	a.state.mu.Lock()
	follows := a.state.base.Follows
	a.state.mu.Unlock()
	state := fleet.WitnessState{Set: office.Set, Ready: office.Grants(), Follows: follows, Keys: keys}
	state.Set.Members = slices.Clone(state.Set.Members)
	if office.Set.Has(a.hostID) && !office.Ready {
		state.Why = "its memory is not whole: it waits until old questions are over, and reads what a majority of the others have"
	}
	return state, nil
}

// TellWitness implements api.Witness.
func (a *Agent) TellWitness(ctx context.Context, update fleet.WitnessUpdate) (fleet.WitnessState, error) {
	if err := a.followSet(update); err != nil {
		return fleet.WitnessState{}, err
	}
	return a.WitnessState(ctx)
}

// followSet takes a newer set over, and ends the agent's time as a home of keys.
func (a *Agent) followSet(update fleet.WitnessUpdate) error {
	adopted := false
	office, err := a.journal.ChangeOffice(func(o *witness.Office) bool {
		o.Self = a.hostID
		adopted = o.Adopt(update)
		return adopted
	})
	if err != nil {
		return errorf(fleet.CodeInternal, "%v", err)
	}
	if !adopted {
		return nil
	}
	a.log.Info("a witness set was adopted", "number", office.Set.Number, "member", office.Set.Has(a.hostID), "ready", office.Ready)
	w := &a.witnessing
	w.mu.Lock()
	w.set = office.Set
	w.mu.Unlock()
	w.homing.Lock()
	w.retired = true
	w.homing.Unlock()
	a.showSet(office.Set)
	a.outdate()
	a.kickWitness()
	return nil
}

func (a *Agent) kickWitness() {
	select {
	case a.witnessing.told <- struct{}{}:
	default:
	}
}

// Grant implements api.Witness.
func (a *Agent) Grant(_ context.Context, q fleet.GrantAsk) (fleet.GrantAnswer, error) {
	var answer fleet.GrantAnswer
	grants := true
	err := a.journal.JudgeGrant(q.Key, func(o witness.Office, held fleet.GrantEntry) (fleet.GrantEntry, bool) {
		if grants = o.Grants(); !grants {
			answer = fleet.GrantAnswer{Set: &o.Set}
			return held, false
		}
		var write bool
		held, answer, write = o.Judge(held, q)
		return held, write
	})
	switch {
	case err != nil:
		return fleet.GrantAnswer{}, errorf(fleet.CodeInternal, "%v", err)
	case !grants && answer.Set.Number == q.Number:
		return fleet.GrantAnswer{}, errorf(fleet.CodeNotReady, "host %s grants nothing before its memory is whole", a.name())
	}
	return answer, nil
}

// grantPage is how many entries are read at once: of some 300 bytes each, a
// third of what a request may be.
const grantPage = 1000

// Grants implements api.Witness.
func (a *Agent) Grants(_ context.Context, after fleet.UUID) (fleet.GrantPage, error) {
	page, office, err := a.journal.GrantPage(after, grantPage)
	switch {
	case err != nil:
		return fleet.GrantPage{}, errorf(fleet.CodeInternal, "%v", err)
	case !office.Grants():
		return fleet.GrantPage{}, errorf(fleet.CodeNotReady, "host %s is no witness, or has no whole memory itself", a.name())
	}
	return page, nil
}

// sweepGrants drops the keys whose instances have been gone for long enough.
func (a *Agent) sweepGrants() error {
	watch := a.witnessing.watch
	for after, more := (fleet.UUID{}), true; more; {
		page, _, err := a.journal.GrantPage(after, grantPage)
		if err != nil {
			return err
		}
		for _, e := range page.Entries {
			after = e.Key
			there, heard := false, true
			if e.Grant != nil {
				there, heard = a.shown(e.Grant.KeyRecord)
			}
			if !watch.Look(e, time.Now(), there, heard) {
				continue
			}
			if err := a.journal.DropGrant(e); err != nil {
				return err
			}
			watch.Forget(e.Key)
		}
		more = page.More
	}
	return nil
}
