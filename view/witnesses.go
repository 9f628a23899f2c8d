package view

import "grapevine/fleet"

// WitnessSet returns the newest witness set that any host tells of; its number
// is 0 where none does.
func (v *View) WitnessSet() fleet.WitnessSet {
	v.refresh()
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.witnesses
}

// hearSet takes in the set that a witness tells of. The caller holds mu.
func (v *View) hearSet(host *fleet.Host) {
	if s := host.Witnesses; s != nil && s.Number > v.witnesses.Number {
		v.witnesses = *s
	}
}

// Follows reports whether a host has told, however long ago, that it is the home
// of no keys any more.
func (v *View) Follows(id fleet.HostID) bool {
	b := v.cfg.Source.Replica().Block(id)
	if b == nil {
		return false
	}
	host, ok := b.Host()
	return ok && host.Follows > 0
}
