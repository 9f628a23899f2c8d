package ledger

import "grapevine/fleet"

// Grow books the size that a machine on this host is to get, or returns what
// the host has too little of. What the machine has now stays booked until it
// shows less. The outcome must be made durable before it is told.
func (l *Ledger) Grow(id fleet.InstanceID, size fleet.Resources) []fleet.Refusal {
	// Only the room matters: a cordoned host keeps its machines, and they may
	// change.
	row := fleet.Host{State: fleet.HostOK, Capacity: l.Capacity()}
	if refusals := fleet.Fits(&row, &fleet.Request{Resources: beyond(size, l.machines[id])}); len(refusals) > 0 {
		return refusals
	}
	l.Growing(id, size)
	return nil
}

// Growing books what was promised before, at the agent's start.
func (l *Ledger) Growing(id fleet.InstanceID, size fleet.Resources) { l.growing[id] = size }

// Grown drops the booking: the machine stands for itself again.
func (l *Ledger) Grown(id fleet.InstanceID) { delete(l.growing, id) }
