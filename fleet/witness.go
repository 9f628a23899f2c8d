package fleet

import (
	"fmt"
	"slices"
)

// Witnesses is how many agents a witness set has. A majority of them grants.
const Witnesses = 5

// WitnessSet are the agents that grant the keys of the fleet. It is pinned by
// an operator and changed one member at a time, in two steps: from a set to the
// change from it, in which majorities of both the old and the new members are
// needed, and from there to the new one.
type WitnessSet struct {
	// Number rises by one with each step; 0 is no set.
	Number  uint64   `json:"number"`
	Members []HostID `json:"members"`
	// Old are the members before a change that is under way.
	Old []HostID `json:"old,omitempty"`
}

// IsZero reports whether there is no set.
func (s *WitnessSet) IsZero() bool { return s.Number == 0 }

// Changing reports whether a change is under way.
func (s *WitnessSet) Changing() bool { return len(s.Old) > 0 }

// All returns every agent that grants under the set, in order.
func (s *WitnessSet) All() []HostID {
	all := slices.Concat(s.Members, s.Old)
	slices.SortFunc(all, HostID.Compare)
	return slices.Compact(all)
}

// Has reports whether a host is one of All.
func (s *WitnessSet) Has(host HostID) bool {
	return slices.Contains(s.Members, host) || slices.Contains(s.Old, host)
}

// Majority reports whether those that answered suffice: more than half of the
// members, and of the old ones too while there are some.
func (s *WitnessSet) Majority(answered func(HostID) bool) bool {
	return majority(s.Members, answered) && (!s.Changing() || majority(s.Old, answered))
}

func majority(members []HostID, answered func(HostID) bool) bool {
	n := 0
	for _, id := range members {
		if answered(id) {
			n++
		}
	}
	return n > len(members)/2
}

// Sources are those of which a witness without a memory needs a majority, to
// know all that was granted: each grant is held by a majority of them, and so
// by one of any majority at the least.
func (s *WitnessSet) Sources() []HostID {
	if s.Changing() {
		return s.Old
	}
	return s.Members
}

// Replace returns the change in which a member goes and another comes.
func (s *WitnessSet) Replace(gone, come HostID) (WitnessSet, error) {
	at := slices.Index(s.Members, gone)
	switch {
	case s.Changing():
		return WitnessSet{}, fmt.Errorf("witness set %d is still being changed", s.Number)
	case at < 0:
		return WitnessSet{}, fmt.Errorf("host %s is no witness", gone)
	case s.Has(come):
		return WitnessSet{}, fmt.Errorf("host %s is a witness already", come)
	}
	next := WitnessSet{Number: s.Number + 1, Members: slices.Clone(s.Members), Old: slices.Clone(s.Members)}
	next.Members[at] = come
	return next, nil
}

// Settle returns the set that ends a change.
func (s *WitnessSet) Settle() WitnessSet {
	return WitnessSet{Number: s.Number + 1, Members: slices.Clone(s.Members)}
}

// Equal reports whether two sets are the same; nil is none.
func (s *WitnessSet) Equal(o *WitnessSet) bool {
	if s == nil || o == nil {
		return s == o
	}
	return s.Number == o.Number && slices.Equal(s.Members, o.Members) && slices.Equal(s.Old, o.Old)
}

// Validate says what is wrong with a set.
func (s *WitnessSet) Validate() error {
	if s.Number == 0 {
		return &Error{Code: CodeInvalid, Detail: "the number of a witness set counts from 1"}
	}
	if s.Changing() {
		if err := validMembers(s.Old); err != nil {
			return err
		}
	}
	return validMembers(s.Members)
}

func validMembers(members []HostID) error {
	different := slices.Clone(members)
	slices.SortFunc(different, HostID.Compare)
	if different = slices.Compact(different); len(members) != Witnesses || len(different) != Witnesses || different[0].IsZero() {
		return &Error{Code: CodeInvalid, Detail: fmt.Sprintf("a witness set has %d different hosts", Witnesses)}
	}
	return nil
}

// WitnessState is what a node says of the witness set, the answer to
// GET /v1/witness, a node route.
type WitnessState struct {
	Set WitnessSet `json:"set"`
	// Ready is whether the node grants; only a member can be. Why says what it
	// waits for.
	Ready bool   `json:"ready"`
	Why   string `json:"why,omitempty"`
	// Follows is the number of the first set since which the node decides no keys
	// by itself as their home; 0 where it still does.
	Follows uint64 `json:"follows"`
	Keys    int    `json:"keys"` // of which it has something
}

// WitnessUpdate tells a node which set there is, the body of PUT /v1/witness, a
// node route. One that is not newer than what it knows changes nothing.
type WitnessUpdate struct {
	Set WitnessSet `json:"set"`
	// Found is set where the set is the fleet's first, and nothing was ever
	// granted: then there is nothing that the witness could have forgotten.
	Found bool `json:"found,omitempty"`
}

// WitnessChange is what an operator wants of the witness set, the body of
// POST /v1/witnesses: either Members, for the fleet's first set, or Old and New.
// Each host is an id or a name.
type WitnessChange struct {
	Members []string `json:"members,omitempty" doc:"the five hosts of the fleet's first set"`
	Old     string   `json:"old,omitempty" doc:"the member that goes"`
	New     string   `json:"new,omitempty" doc:"the host that comes in its place"`
}

// WitnessReport is the witness set, as far as the answering node could ask.
type WitnessReport struct {
	// Set is the newest that any host tells of; its number is 0 for none.
	Set WitnessSet `json:"set"`
	// Members are those of the set and, in a change, the old ones.
	Members []WitnessRow `json:"members"`
	// Waiting are the hosts that are still the homes of keys: for those keys
	// nobody decides until they have been heard.
	Waiting []string `json:"waiting"`
}

// WitnessRow is one witness.
type WitnessRow struct {
	Host HostID `json:"host"`
	Name string `json:"name"`
	// Coming and Going are set during a change.
	Coming bool `json:"coming,omitempty"`
	Going  bool `json:"going,omitempty"`
	WitnessState
	// Fault is why it could not be asked; its state is unknown then.
	Fault string `json:"fault,omitempty"`
}
