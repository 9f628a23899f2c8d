package records

import (
	"time"

	"grapevine/fleet"
)

// Held is a record in an agent's journal.
type Held struct {
	fleet.Record
	// IdleSince is since when it has done nothing, by the holder's own wall clock
	// and compared with that clock only; zero while it stands.
	IdleSince time.Time `json:"idle_since,omitzero"`
}

// Shelf is what one agent holds, as its journal has it.
type Shelf struct {
	held map[fleet.RecordID]Held
	made int // those of held that make objects
	// revoking are those of held that revoke tokens.
	revoking int
}

// NewShelf returns the shelf that the journal remembers.
func NewShelf(held []Held) *Shelf {
	s := &Shelf{held: make(map[fleet.RecordID]Held, len(held))}
	for _, h := range held {
		s.Commit(h)
	}
	return s
}

// Get returns a record that is held.
func (s *Shelf) Get(id fleet.RecordID) (fleet.Record, bool) {
	h, ok := s.held[id]
	return h.Record, ok
}

// Full reports whether no further record of a kind is taken.
func (s *Shelf) Full(kind fleet.RecordKind) bool {
	return len(s.held) >= fleet.MaxRecords || kind.Makes() && s.made >= fleet.MaxObjectsHeld || kind.Revokes() && s.revoking >= fleet.MaxRevocationsHeld
}

// Commit takes over what is in the journal now.
func (s *Shelf) Commit(h Held) {
	s.Drop(h.ID)
	s.held[h.ID] = h
	s.count(h.Kind, 1)
}

// Drop forgets a record that is out of the journal now.
func (s *Shelf) Drop(id fleet.RecordID) {
	s.count(s.held[id].Kind, -1)
	delete(s.held, id)
}

func (s *Shelf) count(kind fleet.RecordKind, by int) {
	switch {
	case kind.Makes():
		s.made += by
	case kind.Revokes():
		s.revoking += by
	}
}

// All returns what is held, in no order.
func (s *Shelf) All() []fleet.Record {
	out := make([]fleet.Record, 0, len(s.held))
	for _, h := range s.held {
		out = append(out, h.Record)
	}
	return out
}

// Sweep looks at every record with how it stands, and returns the entries to
// rewrite and the records to drop: those that have done nothing for longer than
// fleet.KeepSpent. One that stands again begins anew. A revocation is dropped when
// no token that it means can be good any more, by the holder's wall clock.
func (s *Shelf) Sweep(now time.Time, standing func(*fleet.Record) fleet.RecordStanding) (changed []Held, expired []fleet.RecordID) {
	for id, h := range s.held {
		idle := standing(&h.Record) != fleet.RecordStands
		switch {
		case h.Kind.Revokes():
			if now.Sub(h.CreatedAt) > fleet.KeepRevoked {
				expired = append(expired, id)
			}
		case idle && h.IdleSince.IsZero():
			changed = append(changed, Held{Record: h.Record, IdleSince: now})
		case idle && now.Sub(h.IdleSince) > fleet.KeepSpent:
			expired = append(expired, id)
		case !idle && !h.IdleSince.IsZero():
			changed = append(changed, Held{Record: h.Record})
		}
	}
	return changed, expired
}

// Needed is how many of so many agents have to hold a record before it is
// answered: fleet.RecordHolders, or all where there are fewer.
func Needed(agents int) int { return min(agents, fleet.RecordHolders) }
