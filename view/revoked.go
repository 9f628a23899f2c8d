package view

import (
	"slices"
	"time"

	"grapevine/fleet"
	"grapevine/people"
)

// Revoked reports whether somebody revoked a token, as far as this node has
// heard.
func (v *View) Revoked(t *people.Token) bool {
	v.refresh()
	v.mu.RLock()
	defer v.mu.RUnlock()
	if _, revoked := v.facts.index.Object(fleet.RevokeToken, t.ID); revoked {
		return true
	}
	return slices.ContainsFunc(v.facts.index.Named(fleet.RevokeUser, "", t.User), func(r fleet.Record) bool { return t.Covers(r.CreatedAt) })
}

// RevokedHosts returns up to when the certificates of nodes were revoked, as far
// as this node has heard.
func (v *View) RevokedHosts() map[fleet.UUID]time.Time {
	v.refresh()
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.facts.index.Revoked()
}

// LookAgain has the members read again: what this node makes of them changed.
func (v *View) LookAgain() {
	v.mu.Lock()
	v.changed = nil
	v.mu.Unlock()
	v.refresh()
}
