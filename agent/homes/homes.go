// Package homes is the rule by which one agent, the home of a key, decides who
// may have it. It is pure: the agent locks it and journals each record before
// it is answered.
//
// A key is an instance id derived from a project and an Idempotency-Key. The
// first record stored for it wins; it is changed only by compare-and-set on
// its attempt. While the home cannot be asked nobody else decides.
package homes

import (
	"time"

	"grapevine/fleet"
)

// Keep is how long a record outlives its instance: a create that is retried
// within it is answered, not done again.
const Keep = 24 * time.Hour

// Entry is a record with what the home knows of its instance.
type Entry struct {
	Record fleet.KeyRecord `json:"record"`
	// Seen is set once the chosen host has shown the instance.
	Seen bool `json:"seen,omitempty"`
	// IdleSince is when the instance was last missed: not shown yet, or gone.
	// It is by the home's own wall clock and compared with that clock only.
	IdleSince time.Time `json:"idle_since,omitzero"`
}

// Homes holds the records of the keys that this agent is home of.
type Homes struct {
	entries map[fleet.InstanceID]Entry
}

// New returns the homes that the journal remembers.
func New(entries []Entry) *Homes {
	h := &Homes{entries: make(map[fleet.InstanceID]Entry, len(entries))}
	for _, e := range entries {
		h.entries[e.Record.Instance] = e
	}
	return h
}

// Get returns the record of a key.
func (h *Homes) Get(id fleet.InstanceID) (fleet.KeyRecord, bool) {
	e, ok := h.entries[id]
	return e.Record, ok
}

// All returns every record, in no order.
func (h *Homes) All() []fleet.KeyRecord {
	out := make([]fleet.KeyRecord, 0, len(h.entries))
	for _, e := range h.entries {
		out = append(out, e.Record)
	}
	return out
}

// Judge decides a compare-and-set without doing it: the entry to journal, and
// whether the proposed record is to be stored. Commit takes it over.
func (h *Homes) Judge(change fleet.KeyChange, now time.Time) (Entry, bool) {
	held, ok := h.entries[change.Record.Instance]
	switch {
	case !ok && change.IfAttempt == 0:
	case ok && change.IfAttempt == held.Record.Attempt && change.IfAttempt != 0 &&
		change.Record.RequestHash == held.Record.RequestHash && change.Record.Attempt == held.Record.Attempt+1:
	default:
		return held, false
	}
	return Entry{Record: change.Record, IdleSince: now}, true
}

// Commit stores an entry that is in the journal now.
func (h *Homes) Commit(e Entry) { h.entries[e.Record.Instance] = e }

// Sweep looks at every record with what the home's replica shows, and returns
// the entries to rewrite and the records to drop: those whose instance has been
// gone, or never came, for longer than Keep. shown tells whether the chosen
// host shows the instance; its second value is false while the host cannot be
// heard: then nothing is concluded, and the time begins anew when it is back,
// because what the host says first may be what it said long ago.
func (h *Homes) Sweep(now time.Time, shown func(fleet.KeyRecord) (there, heard bool)) (changed []Entry, expired []fleet.KeyRecord) {
	for _, e := range h.entries {
		there, heard := shown(e.Record)
		switch {
		case !heard && !e.IdleSince.IsZero():
			changed = append(changed, Entry{Record: e.Record, Seen: e.Seen})
		case !heard:
		case there && (!e.Seen || !e.IdleSince.IsZero()):
			changed = append(changed, Entry{Record: e.Record, Seen: true})
		case there:
		case e.IdleSince.IsZero():
			changed = append(changed, Entry{Record: e.Record, Seen: e.Seen, IdleSince: now})
		case now.Sub(e.IdleSince) > Keep:
			expired = append(expired, e.Record)
		}
	}
	return changed, expired
}

// Drop forgets a key that is out of the journal now.
func (h *Homes) Drop(id fleet.InstanceID) { delete(h.entries, id) }
