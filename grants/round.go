package grants

import (
	"time"

	"grapevine/fleet"
)

// Round is one try to change, or read, a key at the witnesses. It has two
// phases: promises of a majority, which tell what the key holds; and, unless
// they show that this is to stay and stands at a majority already, that a
// majority of those who promised accept what it then holds.
//
// The caller sends Ask to those that it chooses of Of, gives the answers to Hear,
// and begins another round, under a higher ballot, when this one is over without
// an outcome.
type Round struct {
	set    fleet.WitnessSet
	key    fleet.UUID
	ballot fleet.Ballot
	change fleet.GrantChange
	began  time.Time

	promised map[fleet.HostID]fleet.GrantAnswer
	accepted map[fleet.HostID]bool
	next     *fleet.Grant // what is to be accepted; nil while promises are collected
	stored   bool
}

// Outcome is what a round came to.
type Outcome struct {
	// Grant is what the key holds; nil for nothing.
	Grant *fleet.Grant
	// Stored is whether that is what was to be stored.
	Stored bool
}

// Verdict says how a round stands after an answer.
type Verdict int

// The verdicts.
const (
	Waiting  Verdict = iota // more answers are needed
	Proceed                 // Ask is another question now, for those of Of
	Decided                 // the outcome is known
	Outbid                  // another round is in the way: begin one above it
	Outdated                // a witness goes by another set
	Late                    // the round took too long to count
)

// Begin begins a round under a ballot that was used for no other.
func Begin(set fleet.WitnessSet, key fleet.UUID, ballot fleet.Ballot, change fleet.GrantChange, now time.Time) *Round {
	return &Round{
		set: set, key: key, ballot: ballot, change: change, began: now,
		promised: map[fleet.HostID]fleet.GrantAnswer{}, accepted: map[fleet.HostID]bool{},
	}
}

// Ask is the question of the present phase.
func (r *Round) Ask() fleet.GrantAsk {
	return fleet.GrantAsk{Number: r.set.Number, Key: r.key, Ballot: r.ballot, Grant: r.next}
}

// Of returns those whom the present phase may ask: all witnesses, and for
// accepting those that have promised.
func (r *Round) Of() []fleet.HostID {
	if r.next == nil {
		return r.set.All()
	}
	var out []fleet.HostID
	for _, id := range r.set.All() {
		if _, ok := r.promised[id]; ok {
			out = append(out, id)
		}
	}
	return out
}

// Hear takes an answer to a question of this round. Now is by the clock of Begin.
func (r *Round) Hear(from fleet.HostID, ask fleet.GrantAsk, answer fleet.GrantAnswer, now time.Time) (Verdict, Outcome) {
	switch {
	case ask.Ballot != r.ballot || ask.Number != r.set.Number || !r.set.Has(from):
		return Waiting, Outcome{}
	case now.Sub(r.began) > fleet.GrantRound:
		return Late, Outcome{}
	case answer.Set != nil:
		return Outdated, Outcome{}
	case !answer.OK:
		return Outbid, Outcome{}
	case ask.Grant == nil:
		return r.promise(from, answer)
	default:
		return r.accept(from)
	}
}

// promise notes a promise; the last one that was needed ends the phase.
func (r *Round) promise(from fleet.HostID, answer fleet.GrantAnswer) (Verdict, Outcome) {
	if r.next != nil {
		return Waiting, Outcome{}
	}
	r.promised[from] = answer
	if !r.set.Majority(func(id fleet.HostID) bool { _, ok := r.promised[id]; return ok }) {
		return Waiting, Outcome{}
	}
	ballot, held := r.latest()
	next, stored := r.change.Apply(held)
	if next == nil || next == held && r.stands(ballot) {
		return Decided, Outcome{Grant: held, Stored: stored}
	}
	r.next, r.stored = next, stored
	return Proceed, Outcome{}
}

// latest returns what was accepted last by those that promised.
func (r *Round) latest() (ballot fleet.Ballot, held *fleet.Grant) {
	for _, answer := range r.promised {
		if answer.Accepted.Compare(ballot) > 0 {
			ballot, held = answer.Accepted, answer.Grant
		}
	}
	return ballot, held
}

// stands reports whether a majority has accepted under this ballot: then it is
// decided, and need not be accepted again.
func (r *Round) stands(ballot fleet.Ballot) bool {
	return r.set.Majority(func(id fleet.HostID) bool {
		answer, ok := r.promised[id]
		return ok && answer.Accepted == ballot
	})
}

func (r *Round) accept(from fleet.HostID) (Verdict, Outcome) {
	r.accepted[from] = true
	if !r.set.Majority(func(id fleet.HostID) bool { return r.accepted[id] }) {
		return Waiting, Outcome{}
	}
	return Decided, Outcome{Grant: r.next, Stored: r.stored}
}

// Heard returns how many of the members have given the answer that the present
// phase needs.
func (r *Round) Heard() int {
	if r.next == nil {
		return len(r.promised)
	}
	return len(r.accepted)
}
