package agent

import (
	"context"
	"slices"
	"time"

	"grapevine/agent/records"
	"grapevine/fleet"
)

// PutRecord implements api.Node: it answers with the record once it is in the
// journal and in this host's block. Of two that state the same the one that came
// first is held.
func (a *Agent) PutRecord(ctx context.Context, r fleet.Record) (fleet.Record, error) {
	if err := r.Validate(); err != nil {
		return fleet.Record{}, err
	}
	if r.Kind.IsDecision() && r.Subject == a.hostID {
		return fleet.Record{}, errorf(fleet.CodeConflict, "this is the agent of host %s (%s) itself: it is neither dead nor gone", a.name(), a.hostID)
	}
	unlock := a.keys.lock(r.ID)
	defer unlock()
	a.state.mu.Lock()
	held, there := a.state.records.Get(r.ID)
	full := a.state.records.Full(r.Kind)
	a.state.mu.Unlock()
	switch {
	case there:
		return held, nil
	case full:
		return fleet.Record{}, errorf(fleet.CodeTooMany, "host %s holds as many records as one agent does (%d, %d that make groups and key pairs, %d that revoke tokens); ask another agent", a.name(), fleet.MaxRecords, fleet.MaxObjectsHeld, fleet.MaxRevocationsHeld)
	}
	entry := records.Held{Record: r}
	if err := a.promises(ctx).PutRecords(entry); err != nil {
		return fleet.Record{}, errorf(fleet.CodeInternal, "%v", err)
	}
	a.state.mu.Lock()
	a.state.records.Commit(entry)
	a.state.mu.Unlock()
	a.publish()
	a.log.Info("record held", "record", r.ID, "kind", r.Kind, "subject", r.Subject, "name", r.Name, "by", r.By, "why", r.Why)
	return r, nil
}

// sweepRecords drops the records that have done nothing for long enough.
func (a *Agent) sweepRecords(now time.Time) error {
	a.state.mu.Lock()
	changed, expired := a.state.records.Sweep(now, a.View.Standing)
	a.state.mu.Unlock()
	if err := a.journal.PutRecords(changed...); len(changed) > 0 && err != nil {
		return err
	}
	if err := a.journal.DropRecords(expired...); len(expired) > 0 && err != nil {
		return err
	}
	a.state.mu.Lock()
	for _, h := range changed {
		a.state.records.Commit(h)
	}
	for _, id := range expired {
		a.state.records.Drop(id)
	}
	a.state.mu.Unlock()
	if len(expired) > 0 {
		a.publish()
	}
	return nil
}

// covering returns the decisions that cover a host in an epoch, as far as this
// agent has heard: see view.View.Covering.
func (a *Agent) covering(host fleet.HostID, epoch uint64) []fleet.Record {
	return a.Covering(host, epoch)
}

// givenUp reports whether somebody declared a host dead, or had it forgotten, in
// this epoch or a later one.
func (a *Agent) givenUp(host fleet.HostID, epoch uint64) bool {
	return len(a.covering(host, epoch)) > 0
}

// bearers returns the hosts that can be heard and whose blocks bear a record,
// this one included, in order.
func (a *Agent) bearers(id fleet.RecordID) []fleet.HostID {
	_, bear, _ := a.Record(id)
	return slices.DeleteFunc(slices.Clone(bear), func(host fleet.HostID) bool { return host != a.hostID && !a.Heard(host) })
}
