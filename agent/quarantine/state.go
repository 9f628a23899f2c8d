package quarantine

import (
	"maps"
	"slices"
	"time"

	"grapevine/fleet"
)

// Kind says what put a host into quarantine.
type Kind string

// The kinds.
const (
	Absent   Kind = "absent"   // the fleet had not heard of it for too long
	Decided  Kind = "decided"  // an operator gave it up
	Rebooted Kind = "rebooted" // it rebooted, and has machines to start
	// Reinstalled: its journal is new, and the fleet knows it from before.
	Reinstalled Kind = "reinstalled"
)

// Cause is one reason why a host is in quarantine.
type Cause struct {
	Kind   Kind   `json:"kind"`
	Detail string `json:"detail"` // for people
}

// Loser is a machine of this host that another host's copy supersedes.
type Loser struct {
	By         fleet.HostID `json:"by"`
	Generation uint64       `json:"generation"` // of the copy here, when that was found
	// Settled is set once an operator has released the host with it: it does not
	// hold the host back again, and stays superseded.
	Settled bool `json:"settled,omitempty"`
}

// State is what is durable of a host's return.
type State struct {
	// Causes are why the host is in quarantine; none: it is not.
	Causes []Cause   `json:"causes,omitempty"`
	Since  time.Time `json:"since,omitzero"` // by this host's wall clock, for people
	// Cleared is the highest epoch of a decision that the host has answered by
	// leaving quarantine, and Boot the last boot that it has passed.
	Cleared uint64 `json:"cleared,omitempty"`
	Boot    string `json:"boot,omitempty"`
	// Superseded are found in quarantine, and stay until somebody adopts the copy
	// here, or it is gone.
	Superseded map[fleet.InstanceID]Loser `json:"superseded,omitempty"`
	// Release is the last time that an operator ended a quarantine.
	Release *Release `json:"release,omitempty"`
}

// Release is an operator's word that a host is to be trusted.
type Release struct {
	By  string    `json:"by"`
	Why string    `json:"why"`
	At  time.Time `json:"at"`
	// Causes are what was answered so.
	Causes []Cause `json:"causes"`
}

// On reports whether the host is in quarantine.
func (s *State) On() bool { return len(s.Causes) > 0 }

// Lost reports whether the host is in quarantine as one that does not know what
// it had promised.
func (s *State) Lost() bool {
	return slices.ContainsFunc(s.Causes, func(c Cause) bool { return c.Kind == Reinstalled })
}

// Conflicts returns the superseded machines that nobody has decided about, in
// order.
func (s *State) Conflicts() []fleet.InstanceID {
	var out []fleet.InstanceID
	for id, l := range s.Superseded {
		if !l.Settled {
			out = append(out, id)
		}
	}
	slices.SortFunc(out, fleet.UUID.Compare)
	return out
}

// clone returns a state that shares nothing that is changed in place.
func (s State) clone() State {
	s.Causes = slices.Clone(s.Causes)
	s.Superseded = maps.Clone(s.Superseded)
	return s
}

// add notes a cause, once.
func (s *State) add(kind Kind, detail string, now time.Time) {
	if slices.ContainsFunc(s.Causes, func(c Cause) bool { return c.Kind == kind && (kind != Decided || c.Detail == detail) }) {
		return
	}
	if !s.On() {
		s.Since = now
	}
	s.Causes = append(s.Causes, Cause{kind, detail})
}

// leave ends the quarantine: what put the host into it is answered.
func (s *State) leave(f *Facts) {
	s.Causes, s.Since = nil, time.Time{}
	for i := range f.Decisions {
		s.Cleared = max(s.Cleared, f.Decisions[i].Covers.Epoch)
	}
	if f.Boot != "" {
		s.Boot = f.Boot
	}
}

// Released returns the state after an operator's release.
func (s State) Released(f *Facts, by, why string) State {
	next := s.clone()
	next.Release = &Release{By: by, Why: why, At: f.Now, Causes: next.Causes}
	next.leave(f)
	for id, l := range next.Superseded {
		l.Settled = true
		next.Superseded[id] = l
	}
	return next
}
