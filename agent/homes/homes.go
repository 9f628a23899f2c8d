// Package homes is the rule by which one agent, the home of a key, decides who
// may have it. It is pure: the agent locks it and journals each record before
// it is answered.
//
// A key is an instance id derived from a project and an Idempotency-Key, or
// something else that one instance may have at a time. The first record stored
// for it wins; it is changed only by compare-and-set on its attempt. While the
// home cannot be asked nobody else decides.
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
	// Key is zero where the key is the instance's id.
	Key    fleet.UUID      `json:"key,omitzero"`
	Record fleet.KeyRecord `json:"record"`
	// Seen is set once the chosen host has shown the instance.
	Seen bool `json:"seen,omitempty"`
	// IdleSince is when the instance was last missed: not shown yet, or gone.
	// It is by the home's own wall clock and compared with that clock only.
	IdleSince time.Time `json:"idle_since,omitzero"`
}

// ID is the key.
func (e *Entry) ID() fleet.UUID {
	if e.Key.IsZero() {
		return e.Record.Instance
	}
	return e.Key
}

// keep is how long a record outlives its instance. What a retried create asks for
// is kept; a name is for the next one soon after who had it is gone.
func (e *Entry) keep() time.Duration {
	if e.Seen && e.Record.Kind != "" && e.Record.Kind != fleet.GrantCreate {
		return fleet.ReleaseAfter
	}
	return Keep
}

// Homes holds the records of the keys that this agent is home of.
type Homes struct {
	entries map[fleet.UUID]Entry
}

// New returns the homes that the journal remembers.
func New(entries []Entry) *Homes {
	h := &Homes{entries: make(map[fleet.UUID]Entry, len(entries))}
	for _, e := range entries {
		h.entries[e.ID()] = e
	}
	return h
}

// Get returns the record of a key.
func (h *Homes) Get(key fleet.UUID) (fleet.KeyRecord, bool) {
	e, ok := h.entries[key]
	return e.Record, ok
}

// All returns every entry, in no order.
func (h *Homes) All() []Entry {
	out := make([]Entry, 0, len(h.entries))
	for _, e := range h.entries {
		out = append(out, e)
	}
	return out
}

// Judge decides a compare-and-set on a key without doing it: the entry to
// journal, and whether the proposed record is to be stored. Commit takes it over.
func (h *Homes) Judge(key fleet.UUID, change fleet.KeyChange, now time.Time) (Entry, bool) {
	held, ok := h.entries[key]
	if !ok && change.IfAttempt != 0 || ok && !change.Record.Succeeds(&held.Record, change.IfAttempt) {
		return held, false
	}
	next := Entry{Record: change.Record, IdleSince: now}
	if key != change.Record.Instance {
		next.Key = key
	}
	return next, true
}

// Commit stores an entry that is in the journal now.
func (h *Homes) Commit(e Entry) { h.entries[e.ID()] = e }

// Sweep looks at every record with what the home's replica shows, and returns
// the entries to rewrite and those to drop: whose instance has been gone, or
// never came, for longer than they are kept. shown tells whether the chosen
// host shows the instance; its second value is false while the host cannot be
// heard: then nothing is concluded, and the time begins anew when it is back,
// because what the host says first may be what it said long ago.
func (h *Homes) Sweep(now time.Time, shown func(fleet.KeyRecord) (there, heard bool)) (changed, expired []Entry) {
	for _, e := range h.entries {
		there, heard := false, true
		if !e.Record.Released {
			there, heard = shown(e.Record)
		}
		idle, seen := e, e
		idle.IdleSince, seen.IdleSince, seen.Seen = now, time.Time{}, true
		switch {
		case !heard && !e.IdleSince.IsZero():
			e.IdleSince = time.Time{}
			changed = append(changed, e)
		case !heard:
		case there && (!e.Seen || !e.IdleSince.IsZero()):
			changed = append(changed, seen)
		case there:
		case e.IdleSince.IsZero():
			changed = append(changed, idle)
		case now.Sub(e.IdleSince) > e.keep():
			expired = append(expired, e)
		}
	}
	return changed, expired
}

// Drop forgets a key that is out of the journal now.
func (h *Homes) Drop(key fleet.UUID) { delete(h.entries, key) }
