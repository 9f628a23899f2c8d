package quarantine

import (
	"fmt"
	"strings"
	"time"

	"grapevine/fleet"
)

// Facts are what is known of a host's return at one moment.
type Facts struct {
	Now time.Time // by this host's wall clock, for people
	// New says that the host never published before this start, and that nobody
	// knows of it: nothing that it has can have been made elsewhere.
	New bool
	// Told says that peers told at this start what they hold of an earlier life
	// of the host, and nothing was made of that yet. Age is how long ago it was
	// surely alive, where AgeKnown.
	Told, AgeKnown bool
	Age            time.Duration
	// Blank says that the journal is new, and Early that it is not yet as old as a
	// grant lifetime: what the host had promised as home of keys, and forgot, may
	// still be under way.
	Blank, Early bool
	// Decisions are those about this host that it has not answered.
	Decisions []fleet.Record
	// Boot names the boot after which there are machines to start; empty where
	// there are none.
	Boot string
	// Others counts the other agents that are alive, Merged those of which all is
	// taken in, Whole says that this is as much as there is, and Alone that there
	// can be no others.
	Others, Merged int
	Whole, Alone   bool
	// Here are the machines of this host, and Elsewhere what other hosts show
	// under their ids.
	Here, Elsewhere []Copy
}

// Verdict is what follows, beside the state.
type Verdict struct {
	// Waits is what a host in quarantine waits for, for people.
	Waits string
	// Superseded are the machines here that another host's copy supersedes now,
	// and Twins those of which a copy runs elsewhere too. Frozen are the twins of
	// which nobody can say which counts.
	Superseded, Twins map[fleet.InstanceID]fleet.HostID
	Frozen            map[fleet.InstanceID]bool
}

// Judge returns the state that follows from what is known, and what else does.
func Judge(s State, f *Facts) (State, Verdict) {
	next := s.clone()
	next.enter(f)
	v := Verdict{Superseded: map[fleet.InstanceID]fleet.HostID{}, Twins: map[fleet.InstanceID]fleet.HostID{}, Frozen: map[fleet.InstanceID]bool{}}
	next.compare(f, &v)
	if next.On() {
		if v.Waits = next.waits(f); v.Waits == "" {
			next.leave(f)
		}
	}
	return next, v
}

// enter notes what puts the host into quarantine.
func (s *State) enter(f *Facts) {
	switch {
	case f.New, !f.Told:
	case !f.AgeKnown:
		s.add(Absent, "its peers hold its state and do not know how old that is", f.Now)
	case f.Age > fleet.MaxAbsence:
		s.add(Absent, fmt.Sprintf("the fleet had not heard of it for %s", f.Age.Round(time.Second)), f.Now)
	}
	if f.Told && f.Blank {
		s.add(Reinstalled, "its journal is new, and its peers know it from before: it was reinstalled, or its data_dir was lost", f.Now)
	}
	for i := range f.Decisions {
		if r := &f.Decisions[i]; r.Covers.Epoch > s.Cleared {
			s.add(Decided, fmt.Sprintf("%s by %s: %s", r.Kind, r.By, r.Why), f.Now)
		}
	}
	if f.Boot != "" && f.Boot != s.Boot {
		s.add(Rebooted, "it has rebooted and has instances to start", f.Now)
	}
}

// waits says why the host cannot leave, nothing when it can.
func (s *State) waits(f *Facts) string {
	need := min(f.Others, fleet.ReturnPeers)
	switch conflicts := s.Conflicts(); {
	case len(conflicts) > 0:
		return conflictsText(conflicts)
	case f.Alone:
		return ""
	case f.Others == 0:
		return "no other agent is heard, and there are members to join through; it waits for one, or for an operator: grapevine host release"
	case f.Merged < need || !f.Whole:
		return fmt.Sprintf("it has taken in what %d of %d peers hold", min(f.Merged, need), need)
	case s.Lost() && f.Early:
		return fmt.Sprintf("it lets %s pass, in which what it had granted is either done or over", fleet.GrantLife)
	default:
		return ""
	}
}

// named is how many conflicts are named.
const named = 3

func conflictsText(ids []fleet.InstanceID) string {
	words := make([]string, 0, named)
	for _, id := range ids[:min(len(ids), named)] {
		words = append(words, id.String())
	}
	more := ""
	if len(ids) > named {
		more = fmt.Sprintf(" and %d more", len(ids)-named)
	}
	return fmt.Sprintf("other hosts show instances that it has: %s%s; they are superseded here; decide about them, then: grapevine host release",
		strings.Join(words, ", "), more)
}

// Reason is why the host is in quarantine and what it waits for, for people;
// empty when it is not.
func Reason(s *State, v *Verdict) string {
	if !s.On() {
		return ""
	}
	words := make([]string, len(s.Causes))
	for i, c := range s.Causes {
		words[i] = c.Detail
	}
	text := strings.Join(words, "; ")
	if v.Waits != "" {
		text += "; " + v.Waits
	}
	return text
}
