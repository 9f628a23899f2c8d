package agent

import (
	"context"
	"slices"
	"time"

	"grapevine/agent/witness"
	"grapevine/fleet"
	"grapevine/grants/ask"
)

// followEvery is how often the agent looks whether there is a newer witness set,
// or something left to do about the one that there is.
const followEvery = time.Second

// keepWitness follows the witness set: it hands the keys of its home over, learns
// what a new witness has to know, and ends the change by which it became one.
func (a *Agent) keepWitness(ctx context.Context) error {
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	var study *study
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-a.witnessing.told:
		}
		if set := a.WitnessSet(); a.isNews(&set) {
			if err := a.followSet(fleet.WitnessUpdate{Set: set}); err != nil {
				a.log.Error("witness set not adopted", "error", err)
				continue
			}
		}
		if set := a.witnessSet(); set.IsZero() {
			continue // as in most fleets: nothing is read from the disk each second
		}
		office, err := a.journal.Office()
		if err != nil || office.Set.IsZero() {
			continue
		}
		a.handOver(ctx)
		study = a.learn(ctx, &office, study)
		a.settleSet(ctx, &office)
	}
}

// study is a lesson with the time since which its set is known here.
type study struct {
	*witness.Lesson
	number uint64
	since  time.Time
}

// learn goes on with a lesson, or begins one. It returns nil when there is
// nothing to learn.
func (a *Agent) learn(ctx context.Context, o *witness.Office, s *study) *study {
	if o.Ready || !o.Set.Has(a.hostID) {
		return nil
	}
	if s == nil || s.number != o.Set.Number {
		a.log.Info("as a witness this host grants nothing before it has learnt", "number", o.Set.Number)
		return &study{witness.NewLesson(o), o.Set.Number, time.Now()}
	}
	if time.Since(s.since) <= a.witnessing.life {
		return s
	}
	for _, id := range s.From() {
		if err := a.readWitness(ctx, id, s.number); err != nil {
			a.log.Info("a witness could not be read", "witness", a.HostName(id), "error", err)
			continue
		}
		if s.Read(id); s.Over() {
			break
		}
	}
	if !s.Over() {
		return s
	}
	if _, err := a.journal.ChangeOffice(func(o *witness.Office) bool {
		if o.Set.Number != s.number {
			return false
		}
		o.Ready = true
		return true
	}); err != nil {
		a.log.Error("what a witness has learnt is not in its journal", "error", err)
		return s
	}
	a.log.Info("as a witness this host has learnt what the others know, and grants", "number", s.number)
	a.kickWitness()
	return nil
}

// readWitness merges all that another witness has, while it goes by this number.
func (a *Agent) readWitness(ctx context.Context, id fleet.HostID, number uint64) error {
	peer, err := a.Peer(id)
	if err != nil {
		return err
	}
	for after := (fleet.UUID{}); ; {
		within, cancel := context.WithTimeout(ctx, homeAnswers)
		page, err := peer.Grants(within, after)
		cancel()
		switch {
		case err != nil:
			return err
		case page.Number != number:
			return errorf(fleet.CodeConflict, "it goes by witness set %d, and this host by %d", page.Number, number)
		}
		if err := a.journal.LearnGrants(page); err != nil {
			return err
		}
		if !page.More {
			return nil
		}
		after = page.Entries[len(page.Entries)-1].Key
	}
}

// settleSet ends the change by which this host became a witness.
func (a *Agent) settleSet(ctx context.Context, o *witness.Office) {
	if !o.Grants() || !o.Set.Changing() || slices.Contains(o.Set.Old, a.hostID) {
		return
	}
	if err := a.witnessing.keeper.Decide(ctx, o.Set, o.Set.Settle()); err != nil {
		a.log.Info("the change of the witness set is not ended yet", "error", err)
	}
}

// handOver gives the keys of which this agent was the home to the witnesses, and
// says so in the host's row when that is done. Until then nobody decides about
// them.
func (a *Agent) handOver(ctx context.Context) {
	a.state.mu.Lock()
	done, entries := a.state.base.Follows > 0, a.state.homes.All()
	a.state.mu.Unlock()
	if done {
		return
	}
	set := a.witnessSet()
	for _, e := range entries {
		grant := &fleet.Grant{KeyRecord: e.Record, Token: ask.NewToken()}
		if grant.Kind == "" {
			grant.Kind = fleet.GrantCreate
		}
		if _, err := a.witnessing.asker.Change(ctx, set, e.ID(), fleet.GrantChange{Grant: grant}); err != nil {
			a.log.Info("keys are not handed over to the witnesses yet", "left", len(entries), "error", err)
			return
		}
		if err := a.dropKey(e); err != nil {
			a.log.Error("a key that was handed over is still in the journal", "error", err)
			return
		}
	}
	if err := a.journal.SetFollows(set.Number); err != nil {
		a.log.Error("it is not in the journal that all keys are handed over", "error", err)
		return
	}
	a.state.mu.Lock()
	a.state.base.Follows = set.Number
	a.state.mu.Unlock()
	a.log.Info("witnesses decide about keys now", "number", set.Number, "handed_over", len(entries))
	a.outdate()
}
