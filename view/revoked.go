package view

import (
	"slices"

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
