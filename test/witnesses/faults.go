package witnesses

import (
	"slices"

	"grapevine/fleet"
	"grapevine/grants"
)

// fault is a mistake that is made on purpose, to see that it is found.
type fault string

// The faults, each with the rule that it breaks.
const (
	none                 fault = ""
	skipsPromises        fault = "asks to accept without promises"
	contradicts          fault = "does not look at what was accepted before"
	twoOfFive            fault = "takes two of five for a majority"
	newMajorityOnly      fault = "asks a majority of the new members only, while the set changes"
	answersBeforeWriting fault = "answers before it has written"
	newJournalGrants     fault = "grants with a new journal at once"
	learnsAtOnce         fault = "learns without waiting until old rounds are over"
	learnsNothing        fault = "waits, and does not learn"
	learnsFromOne        fault = "learns from one other alone"
	newcomerGrants       fault = "grants as a new member at once"
	returnsUntaught      fault = "grants as a member that had left"
	believesOne          fault = "takes what one witness has accepted for what is decided"
	ignoresNumbers       fault = "answers under any number of the set"
)

// faults has, for each, a seed near which it was caught.
var faults = map[fault]uint64{
	skipsPromises: 1, contradicts: 1, twoOfFive: 1, newMajorityOnly: 22, answersBeforeWriting: 10, newJournalGrants: 1, learnsAtOnce: 37,
	learnsNothing: 9, learnsFromOne: 325, newcomerGrants: 1, returnsUntaught: 48, ignoresNumbers: 25, believesOne: 1,
}

// before is what a faulty witness makes of a question and its entry.
func (f fault) before(n *node, held fleet.GrantEntry, ask fleet.GrantAsk) (fleet.GrantEntry, fleet.GrantAsk) {
	switch f {
	case ignoresNumbers:
		ask.Number = n.office.Set.Number
	case skipsPromises:
		if ask.Grant != nil {
			held.Key, held.Promised = ask.Key, ask.Ballot
		}
	default:
	}
	return held, ask
}

// set is what a faulty asker goes by.
func (f fault) set(set fleet.WitnessSet) fleet.WitnessSet {
	if f == newMajorityOnly {
		set.Old = nil
	}
	return set
}

// hear is what a faulty asker makes of an answer.
func (f fault) hear(q *request, from fleet.HostID, ask fleet.GrantAsk, answer fleet.GrantAnswer) (grants.Verdict, grants.Outcome) {
	now := q.by.clock.now()
	if q.by.w.blind && !answer.OK {
		answer.Accepted, answer.Grant = fleet.Ballot{}, nil
	}
	switch f {
	case contradicts:
		answer.Accepted, answer.Grant = fleet.Ballot{}, nil
	case believesOne:
		if next, stored := q.change.Apply(answer.Grant); ask.Grant == nil && !answer.OK && answer.Grant != nil && next == answer.Grant {
			return grants.Decided, grants.Outcome{Grant: answer.Grant, Stored: stored}
		}
	case twoOfFive:
		members := q.round.Of()
		other := members[(slices.Index(members, from)+1)%len(members)]
		if verdict, outcome := q.round.Hear(other, ask, answer, now); verdict != grants.Waiting {
			return verdict, outcome
		}
	default:
	}
	return q.round.Hear(from, ask, answer, now)
}
