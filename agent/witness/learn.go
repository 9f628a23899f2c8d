package witness

import "grapevine/fleet"

// Lesson is what a witness without a whole memory still has to learn. It is
// begun after fleet.GrantLife, by the witness's own clock, since it adopted the
// set, and begun anew with every set and every start.
type Lesson struct {
	set  fleet.WitnessSet
	self fleet.HostID
	read map[fleet.HostID]bool
}

// NewLesson begins one for the office as it is now.
func NewLesson(o *Office) *Lesson {
	return &Lesson{set: o.Set, self: o.Self, read: map[fleet.HostID]bool{}}
}

// From returns those who are still to be read.
func (l *Lesson) From() []fleet.HostID {
	var out []fleet.HostID
	for _, id := range l.set.Sources() {
		if id != l.self && !l.read[id] {
			out = append(out, id)
		}
	}
	return out
}

// Read notes that all pages of a witness, which went by the lesson's set on each
// of them, were merged and are in the journal.
func (l *Lesson) Read(from fleet.HostID) { l.read[from] = true }

// Over reports whether enough were read: a majority, without the witness itself,
// has one in common with each majority that ever granted something.
func (l *Lesson) Over() bool {
	n := 0
	for _, id := range l.set.Sources() {
		if id != l.self && l.read[id] {
			n++
		}
	}
	return n > fleet.Witnesses/2
}

// Merge returns an entry with what another witness has of the key: the later of
// what they accepted, and of what they promised. It reports whether that is
// more than held.
func Merge(held, other fleet.GrantEntry) (fleet.GrantEntry, bool) {
	next := held
	next.Key = other.Key
	if other.Promised.Compare(held.Promised) > 0 {
		next.Promised = other.Promised
	}
	if other.Accepted.Compare(held.Accepted) > 0 {
		next.Accepted, next.Grant = other.Accepted, other.Grant
	}
	return next, next.Promised != held.Promised || next.Accepted != held.Accepted
}
