package quarantine

import (
	"maps"

	"grapevine/fleet"
)

// Copy is a machine that a host shows.
type Copy struct {
	ID         fleet.InstanceID
	Host       fleet.HostID
	Generation uint64
	// Runs: it is switched on. Managed: it carries a mark.
	Runs, Managed bool
	// Heard: its host is heard now. What a silent host showed counts only for one
	// that has been away itself.
	Heard bool
	// Superseded: its own host says that another copy counts.
	Superseded bool
}

// compare finds the machines here that are superseded, and those that run twice.
func (s *State) compare(f *Facts, v *Verdict) {
	here := make(map[fleet.InstanceID]*Copy, len(f.Here))
	for i := range f.Here {
		here[f.Here[i].ID] = &f.Here[i]
	}
	maps.DeleteFunc(s.Superseded, func(id fleet.InstanceID, l Loser) bool {
		own, there := here[id]
		return !there || !own.Managed || own.Generation > l.Generation // gone, disowned or adopted
	})
	for i := range f.Elsewhere {
		other := &f.Elsewhere[i]
		own := here[other.ID]
		if own == nil || !own.Managed && !other.Managed {
			continue
		}
		if own.Runs && other.Runs && other.Heard {
			v.Twins[own.ID] = other.Host
		}
		if own.Managed && other.Managed && !other.Superseded && s.outdone(own, other) {
			v.Superseded[own.ID] = other.Host
			s.note(own, other.Host)
		}
	}
	for id, l := range s.Superseded {
		v.Superseded[id] = l.By
	}
	s.freeze(f, v, here)
}

// outdone reports whether the other copy counts in place of this host's own. Of
// two in one generation the one that stayed does; where neither was away, the
// one that runs.
func (s *State) outdone(own, other *Copy) bool {
	switch {
	case !s.On() && !other.Heard:
		return false
	case other.Generation != own.Generation:
		return other.Generation > own.Generation
	case s.On():
		return true
	default:
		return other.Runs && !own.Runs
	}
}

// note keeps for good what was found in quarantine.
func (s *State) note(own *Copy, by fleet.HostID) {
	if _, known := s.Superseded[own.ID]; known || !s.On() {
		return
	}
	if s.Superseded == nil {
		s.Superseded = map[fleet.InstanceID]Loser{}
	}
	s.Superseded[own.ID] = Loser{By: by, Generation: own.Generation}
}

// freeze finds the twins of which neither copy counts more than the other.
func (s *State) freeze(f *Facts, v *Verdict, here map[fleet.InstanceID]*Copy) {
	for i := range f.Elsewhere {
		other := &f.Elsewhere[i]
		own := here[other.ID]
		if own == nil || v.Twins[other.ID].IsZero() || !v.Superseded[other.ID].IsZero() || other.Superseded {
			continue
		}
		if own.Managed && other.Runs && other.Heard && own.Generation == other.Generation {
			v.Frozen[own.ID] = true
		}
	}
}
