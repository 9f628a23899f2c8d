package records

import "grapevine/fleet"

// Account is what a node holds of a host.
type Account struct {
	// Version is that of its block, zero where none is held.
	Version fleet.Version
	// Quarantined is set while it has come back and not been trusted yet: until
	// then, what was decided about its last life is of use.
	Quarantined bool
	// Find returns its row of an instance.
	Find func(fleet.InstanceID) (fleet.Instance, bool)
}

// Standing judges a record of the union by what is held of the host concerned.
// All nodes that hold the same judge the same.
func (x *Index) Standing(r *fleet.Record, host Account) fleet.RecordStanding {
	switch {
	case r.Kind.Revokes(), r.Kind == fleet.RevokeHost, r.Kind == fleet.TrustRoots:
		return fleet.RecordStands // for ever, or until its holder drops it: see Shelf.Sweep
	case r.Kind.IsObject():
		return x.objects.standing(r)
	case r.Kind.IsDecision() && supersededIn(x.about[r.Subject], r):
		return fleet.RecordSuperseded
	case r.Kind.IsDecision() && host.Version.Epoch > r.Covers.Epoch && !host.Quarantined:
		return fleet.RecordSpent
	case r.Kind == fleet.DeleteIntent && spent(r, &host):
		return fleet.RecordSpent
	default:
		return fleet.RecordStands
	}
}

// spent reports whether the machine that an intent means is gone: its host has
// published something newer than the intent was made on, and shows it no more,
// or another one under its id. So a delete needs no tombstone: what is to be
// prevented is that the machine is there, and its host says whether it is.
func spent(r *fleet.Record, host *Account) bool {
	if !host.Version.AtLeast(r.Covers) || host.Version == r.Covers {
		return false
	}
	row, there := host.Find(r.Subject)
	return !there || !r.Means(&row)
}
