package agent

import (
	"context"
	"slices"
	"time"

	"grapevine/agent/homes"
	"grapevine/fleet"
	"grapevine/mesh/replica"
)

// Key implements api.Node.
func (a *Agent) Key(_ context.Context, id fleet.UUID) (fleet.KeyRecord, error) {
	a.witnessing.homing.RLock()
	defer a.witnessing.homing.RUnlock()
	if a.witnessing.retired {
		return fleet.KeyRecord{}, witnessesDecide(a.name())
	}
	a.state.mu.Lock()
	defer a.state.mu.Unlock()
	if a.state.back.Lost() {
		return fleet.KeyRecord{}, a.forgetful()
	}
	record, ok := a.state.homes.Get(id)
	if !ok {
		return fleet.KeyRecord{}, errorf(fleet.CodeNotFound, "host %s holds nothing of key %s", a.name(), id)
	}
	return record, nil
}

// ChangeKey implements api.Node: the first record for a key wins, and is in
// the journal before it is told to anyone.
func (a *Agent) ChangeKey(ctx context.Context, id fleet.UUID, change fleet.KeyChange) (fleet.KeyAnswer, error) {
	if err := change.Record.ValidKey(id); err != nil {
		return fleet.KeyAnswer{}, err
	}
	if change.Record.Attempt != change.IfAttempt+1 {
		return fleet.KeyAnswer{}, errorf(fleet.CodeInvalid, "attempt %d does not follow attempt %d", change.Record.Attempt, change.IfAttempt)
	}
	a.witnessing.homing.RLock()
	defer a.witnessing.homing.RUnlock()
	if a.witnessing.retired {
		return fleet.KeyAnswer{}, witnessesDecide(a.name())
	}
	unlock := a.keys.lock(id)
	defer unlock()
	a.state.mu.Lock()
	lost := a.state.back.Lost()
	entry, store := a.state.homes.Judge(id, change, time.Now())
	a.state.mu.Unlock()
	if lost {
		return fleet.KeyAnswer{}, a.forgetful()
	}
	if !store {
		if entry.Record.Instance.IsZero() {
			return fleet.KeyAnswer{}, errorf(fleet.CodeNotFound, "host %s holds nothing of key %s", a.name(), id)
		}
		return fleet.KeyAnswer{Record: entry.Record}, nil
	}
	shown := change.IfAttempt == 0 && a.learnKey(ctx, &entry.Record)
	if err := a.journal.PutKeys(entry); err != nil {
		return fleet.KeyAnswer{}, errorf(fleet.CodeInternal, "%v", err)
	}
	a.state.mu.Lock()
	a.state.homes.Commit(entry)
	a.state.mu.Unlock()
	return fleet.KeyAnswer{Record: entry.Record, Stored: !shown}, nil
}

// learnKey gives a record that this home has never had to the host that shows
// its instance already: another home decided, or this one before it was
// reinstalled. The asker did not choose that host, and so drives nothing yet.
func (a *Agent) learnKey(ctx context.Context, r *fleet.KeyRecord) (shown bool) {
	row, err := a.Instance(ctx, r.Instance)
	if err != nil || row.Ownership != fleet.Managed || row.HostDeclaredDead {
		return false
	}
	r.Host = row.Host
	return true
}

// forgetful is the answer of a home that was reinstalled and may have forgotten
// what it decided.
func (a *Agent) forgetful() error {
	return errorf(fleet.CodeNotReady, "host %s was reinstalled, and decides about no keys before it has compared what it has with its peers; send the same request again in a moment", a.name())
}

// witnessesDecide is the answer of a home that has handed its keys over, or is
// about to.
func witnessesDecide(host string) error {
	return errorf(fleet.CodeWitnessesDecide, "host %s decides about no keys any more, since there is a witness set; send the same request again in a moment", host)
}

// sweepKeys drops the keys whose instances have been gone for long enough.
func (a *Agent) sweepKeys(now time.Time) error {
	a.state.mu.Lock()
	changed, expired := a.state.homes.Sweep(now, a.shown)
	a.state.mu.Unlock()
	for _, e := range changed {
		if err := a.noteKey(e); err != nil {
			return err
		}
	}
	for _, e := range expired {
		if err := a.dropKey(e); err != nil {
			return err
		}
	}
	return nil
}

// dropKey forgets a key, unless its record was swapped meanwhile.
func (a *Agent) dropKey(e homes.Entry) error {
	unlock := a.keys.lock(e.ID())
	defer unlock()
	if !a.holdsKey(e) {
		return nil
	}
	if err := a.journal.DropKeys(e.ID()); err != nil {
		return err
	}
	a.state.mu.Lock()
	defer a.state.mu.Unlock()
	a.state.homes.Drop(e.ID())
	return nil
}

// holdsKey reports whether this is still the record of its key.
func (a *Agent) holdsKey(e homes.Entry) bool {
	a.state.mu.Lock()
	defer a.state.mu.Unlock()
	held, ok := a.state.homes.Get(e.ID())
	return ok && held == e.Record
}

// noteKey writes what was seen of a key's instance, unless the record was
// swapped meanwhile.
func (a *Agent) noteKey(e homes.Entry) error {
	unlock := a.keys.lock(e.ID())
	defer unlock()
	if !a.holdsKey(e) {
		return nil
	}
	if err := a.journal.PutKeys(e); err != nil {
		return err
	}
	a.state.mu.Lock()
	defer a.state.mu.Unlock()
	a.state.homes.Commit(e)
	return nil
}

// shownElsewhere reports whether a host that was not given up, other than the one
// that the key was given to, shows the instance.
func (a *Agent) shownElsewhere(record fleet.KeyRecord) bool {
	return slices.ContainsFunc(a.mesh.Replica().Instance(record.Instance), func(b *replica.Block) bool {
		return b.HostID() != record.Host && !a.givenUp(b.HostID(), b.Version().Epoch)
	})
}

// shown tells whether the host that a key was given to shows the instance, or
// another one does. A host that cannot be heard now says nothing by what it
// showed before; the key of a group's anchor is kept by whatever member its host
// shows; a host that is forgotten shows nothing any more.
func (a *Agent) shown(record fleet.KeyRecord) (there, heard bool) {
	if a.Forgotten(record.Host) {
		return false, true
	}
	block := a.mesh.Replica().Block(record.Host)
	if block == nil || !a.Heard(record.Host) {
		return false, false
	}
	if there, anchor := a.AnchorShown(record.Instance, record.Host); anchor {
		return there, true
	}
	_, there = block.Instance(record.Instance)
	return there || a.shownElsewhere(record), true
}
