package witness

import (
	"slices"

	"grapevine/fleet"
)

// Office is what a witness knows beside its entries. All of it is in its
// journal.
type Office struct {
	Self fleet.HostID     `json:"self"`
	Set  fleet.WitnessSet `json:"set"`
	// Ready is whether its memory is whole, so that it may grant.
	Ready bool `json:"ready"`
	// Floor is the highest round of what was dropped.
	Floor uint64 `json:"floor"`
}

// Grants reports whether the witness answers askers.
func (o *Office) Grants() bool { return o.Ready && o.Set.Has(o.Self) }

// Judge answers a question about the key of which the witness has this entry, a
// zero one for nothing. Write is whether the entry is to be in the journal
// before the answer is given. The caller has checked that it Grants.
func (o *Office) Judge(held fleet.GrantEntry, ask fleet.GrantAsk) (next fleet.GrantEntry, answer fleet.GrantAnswer, write bool) {
	switch {
	case ask.Number != o.Set.Number:
		set := o.Set
		return held, fleet.GrantAnswer{Set: &set, Floor: o.Floor}, false
	case ask.Grant == nil:
		return o.promise(held, ask)
	default:
		return o.accept(held, ask)
	}
}

// promise promises a ballot that is above all that came before it.
func (o *Office) promise(held fleet.GrantEntry, ask fleet.GrantAsk) (fleet.GrantEntry, fleet.GrantAnswer, bool) {
	if held.Promised.IsZero() && ask.Ballot.Round <= o.Floor {
		return held, o.answer(fleet.GrantEntry{Promised: fleet.Ballot{Round: o.Floor}}, false), false
	}
	switch order := ask.Ballot.Compare(held.Promised); {
	case order < 0:
		return held, o.answer(held, false), false
	case order == 0: // the question came twice
		return held, o.answer(held, true), false
	}
	held.Key, held.Promised = ask.Key, ask.Ballot
	return held, o.answer(held, true), true
}

// accept accepts under the ballot promised last, and no other.
func (o *Office) accept(held fleet.GrantEntry, ask fleet.GrantAsk) (fleet.GrantEntry, fleet.GrantAnswer, bool) {
	if ask.Ballot != held.Promised {
		return held, o.answer(held, false), false
	}
	if ask.Ballot == held.Accepted { // the question came twice: a ballot has one grant
		return held, o.answer(held, true), false
	}
	held.Accepted, held.Grant = ask.Ballot, ask.Grant
	return held, o.answer(held, true), true
}

func (o *Office) answer(e fleet.GrantEntry, ok bool) fleet.GrantAnswer {
	return fleet.GrantAnswer{OK: ok, Promised: e.Promised, Accepted: e.Accepted, Grant: e.Grant, Floor: o.Floor}
}

// Adopt takes a newer set over, and reports whether it did. The memory stays
// whole only for one that surely was a member all the while; any other has to
// learn first, unless the set is the founding one: who says so has made sure
// that nobody has granted anything. A witness that is none any more keeps its
// memory.
func (o *Office) Adopt(update fleet.WitnessUpdate) bool {
	set := update.Set
	if update.Found && !o.Ready && set.Number == 1 && (o.Set.IsZero() || o.Set.Equal(&set)) {
		o.Ready, o.Set = true, set
		return true
	}
	if set.Number <= o.Set.Number {
		return false
	}
	o.Ready = o.Ready && o.stays(&set)
	o.Set = set
	return true
}

// stays reports whether the witness cannot have left between its set and a newer
// one. A change has two steps: who was a member, and heard of the second step
// after it, at the latest, has missed none in which it could leave and come.
func (o *Office) stays(next *fleet.WitnessSet) bool {
	switch next.Number - o.Set.Number {
	case 1:
		return o.Set.Has(o.Self) && next.Has(o.Self)
	case 2:
		return slices.Contains(o.Set.Members, o.Self) && next.Has(o.Self)
	default:
		return false
	}
}
