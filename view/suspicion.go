package view

import (
	"maps"
	"slices"

	"grapevine/fleet"
	"grapevine/mesh/replica"
)

// enoughObservers is how many must say of a host that they no longer hear it
// before it is shown as suspect: one link may break for reasons of its own.
const enoughObservers = 2

// suspicion is who says of whom that it is not heard, by the blocks held. It
// is kept by subject, so that a block which comes costs what is said in it.
type suspicion struct {
	// against holds of each subject the version that each observer last heard.
	against map[fleet.HostID]map[fleet.HostID]fleet.Version
	// by holds the subjects of each observer.
	by map[fleet.HostID][]fleet.HostID
	// accused are the subjects with enough observers, whatever is said of these
	// in turn.
	accused map[fleet.HostID]bool
}

func newSuspicion() suspicion {
	return suspicion{
		against: map[fleet.HostID]map[fleet.HostID]fleet.Version{},
		by:      map[fleet.HostID][]fleet.HostID{},
		accused: map[fleet.HostID]bool{},
	}
}

// takeIn replaces what the block's host said of others, and adds to touched
// whoever may now have to be judged again. A block without hints, of a host
// that nobody gives hints about, costs nothing.
func (s *suspicion) takeIn(b *replica.Block, touched map[fleet.HostID]bool) {
	observer := b.HostID()
	for _, subject := range s.by[observer] {
		touched[subject] = true
		delete(s.against[subject], observer)
		if len(s.against[subject]) == 0 {
			delete(s.against, subject)
		}
	}
	delete(s.by, observer)
	for hint := range b.Hints() {
		touched[hint.Subject] = true
		s.by[observer] = append(s.by[observer], hint.Subject)
		if s.against[hint.Subject] == nil {
			s.against[hint.Subject] = map[fleet.HostID]fleet.Version{}
		}
		s.against[hint.Subject][observer] = hint.Heard
	}
	if len(s.against[observer]) > 0 {
		touched[observer] = true // what it published may be newer than what they heard
	}
}

// weigh works out again which of these hosts are accused, and adds those whose
// observers' own standing changed by that.
func (v *View) weigh(touched map[fleet.HostID]bool) {
	for _, subject := range slices.Collect(maps.Keys(touched)) {
		accused := v.enoughAgainst(subject, func(fleet.HostID) bool { return true })
		if accused == v.suspicion.accused[subject] {
			continue
		}
		if accused {
			v.suspicion.accused[subject] = true
		} else {
			delete(v.suspicion.accused, subject)
		}
		for _, other := range v.suspicion.by[subject] {
			touched[other] = true
		}
	}
}

// weighAll is weigh for everyone that is spoken of, after members changed.
func (v *View) weighAll() {
	touched := map[fleet.HostID]bool{}
	for subject := range v.suspicion.against {
		touched[subject] = true
	}
	for subject := range v.suspicion.accused {
		touched[subject] = true
	}
	v.weigh(touched)
}

// suspect reports whether the host is to be shown as suspect: enough observers
// no longer hear it who are not accused themselves. Whether an observer is ok
// is judged by the accusations alone, not by suspect, or two hosts that each
// doubt the other could have either come out of it.
func (v *View) suspect(id fleet.HostID) bool {
	return v.suspicion.accused[id] &&
		v.enoughAgainst(id, func(observer fleet.HostID) bool { return !v.suspicion.accused[observer] })
}

// enoughAgainst counts the hints about a host whose observers are trusted. A
// hint is void when its observer is not ok by the failure detector's word, or
// when the subject published anything newer than what the observer heard.
func (v *View) enoughAgainst(subject fleet.HostID, trusted func(fleet.HostID) bool) bool {
	hints := v.suspicion.against[subject]
	if len(hints) == 0 {
		return false
	}
	held, count := v.cfg.Source.Replica().Version(subject), 0
	for observer, heard := range hints {
		if heard.AtLeast(held) && v.judge(observer) == fleet.ReachOK && trusted(observer) {
			count++
		}
	}
	return count >= v.observersNeeded()
}

// observersNeeded is one where a host has a single link at most because there
// is only one other agent to have it with.
func (v *View) observersNeeded() int {
	if v.alive <= enoughObservers {
		return 1
	}
	return enoughObservers
}
