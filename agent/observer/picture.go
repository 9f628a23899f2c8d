package observer

import (
	"maps"
	"time"

	"grapevine/drivers"
	"grapevine/fleet"
)

// Picture is what the hypervisor was last seen to say.
type Picture struct {
	// Complete is false until the first full listing.
	Complete    bool
	Description drivers.Description
	Machines    map[fleet.InstanceID]Sighting
	Images      []fleet.Image
	// Fault is why the hypervisor does not answer, empty while it does, and
	// FaultSince when that began. Machines are then the last seen ones.
	Fault      string
	FaultSince time.Time
}

// Sighting is a machine and when it was seen.
type Sighting struct {
	drivers.Machine
	At time.Time // wall clock, for people
}

// canvas orders sightings that were taken side by side. Each look at the
// hypervisor draws a ticket before it asks; an answer never replaces what a
// later ticket saw, so that a slow listing cannot undo a fresh inspection.
type canvas struct {
	Picture
	last    uint64
	tickets map[fleet.InstanceID]uint64 // of the newest look at each id, gone ones included
}

func newCanvas() *canvas {
	return &canvas{
		Picture: Picture{Machines: map[fleet.InstanceID]Sighting{}},
		tickets: map[fleet.InstanceID]uint64{},
	}
}

func (c *canvas) ticket() uint64 {
	c.last++
	return c.last
}

// saw takes in one machine and reports whether it differs from before.
func (c *canvas) saw(ticket uint64, m drivers.Machine, now time.Time) bool {
	if c.tickets[m.ID] > ticket {
		return false
	}
	c.tickets[m.ID] = ticket
	held, ok := c.Machines[m.ID]
	if ok && sameMachine(held.Machine, m) {
		return false
	}
	c.Machines[m.ID] = Sighting{Machine: m, At: now}
	return true
}

// missed takes in that the hypervisor has no such machine.
func (c *canvas) missed(ticket uint64, id fleet.InstanceID) bool {
	if c.tickets[id] > ticket {
		return false
	}
	c.tickets[id] = ticket
	_, ok := c.Machines[id]
	delete(c.Machines, id)
	return ok
}

// listed takes in a full listing: what it lacks is gone.
func (c *canvas) listed(ticket uint64, machines []drivers.Machine, now time.Time) bool {
	changed := !c.Complete
	c.Complete = true
	present := make(map[fleet.InstanceID]bool, len(machines))
	for _, m := range machines {
		present[m.ID] = true
		changed = c.saw(ticket, m, now) || changed
	}
	for id := range c.Machines {
		if !present[id] {
			changed = c.missed(ticket, id) || changed
		}
	}
	maps.DeleteFunc(c.tickets, func(id fleet.InstanceID, t uint64) bool {
		return t <= ticket && !present[id]
	})
	return changed
}

// copied returns a picture that the caller may keep.
func (c *canvas) copied() Picture {
	p := c.Picture
	p.Machines = maps.Clone(c.Machines)
	return p
}
