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
	shown    map[fleet.HostID]fleet.GrantAnswer // with the refusals
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
		promised: map[fleet.HostID]fleet.GrantAnswer{}, shown: map[fleet.HostID]fleet.GrantAnswer{}, accepted: map[fleet.HostID]bool{},
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
	case !answer.OK && ask.Grant == nil && r.next == nil:
		return r.refuse(from, answer)
	case !answer.OK:
		return Outbid, Outcome{}
	case ask.Grant == nil && r.next != nil: // the phase is over
		return Waiting, Outcome{}
	case ask.Grant == nil:
		return r.promise(from, answer)
	default:
		return r.accept(from)
	}
}

// promise notes a promise; the last one that was needed ends the phase.
func (r *Round) promise(from fleet.HostID, answer fleet.GrantAnswer) (Verdict, Outcome) {
	r.promised[from], r.shown[from] = answer, answer
	if !r.set.Majority(func(id fleet.HostID) bool { _, ok := r.promised[id]; return ok }) {
		return r.outbid()
	}
	ballot, held := latest(r.promised)
	next, stored := r.change.Apply(held)
	if next == nil || next == held && r.stands(ballot) {
		return Decided, Outcome{Grant: held, Stored: stored}
	}
	r.next, r.stored = next, stored
	return Proceed, Outcome{}
}

// refuse notes what a witness shows that has promised a later round. One that
// shows nothing has promised to somebody who is still at work.
func (r *Round) refuse(from fleet.HostID, answer fleet.GrantAnswer) (Verdict, Outcome) {
	r.shown[from] = answer
	if answer.Accepted.IsZero() {
		return Outbid, Outcome{}
	}
	return r.outbid()
}

// outbid ends a round in whose way another is, once a majority has answered.
// Where all of them show what was accepted under one ballot, that is decided, and
// was not replaced before this round began: whatever replaces it has to be
// accepted by one of them, who would show that. So it is the answer to who
// would not change it.
func (r *Round) outbid() (Verdict, Outcome) {
	if len(r.shown) == len(r.promised) || !r.set.Majority(func(id fleet.HostID) bool { _, ok := r.shown[id]; return ok }) {
		return Waiting, Outcome{}
	}
	ballot, held := latest(r.shown)
	if held == nil || !r.stands(ballot) {
		return Outbid, Outcome{}
	}
	if next, stored := r.change.Apply(held); next == nil || next == held {
		return Decided, Outcome{Grant: held, Stored: stored}
	}
	return Outbid, Outcome{}
}

// latest returns what was accepted last by those that answered.
func latest(answers map[fleet.HostID]fleet.GrantAnswer) (ballot fleet.Ballot, held *fleet.Grant) {
	for _, answer := range answers {
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
		answer, ok := r.shown[id]
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
		return len(r.shown)
	}
	return len(r.accepted)
}
