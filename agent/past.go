package agent

import (
	"sync"
	"time"

	"grapevine/agent/autostart"
	"grapevine/agent/journal"
	"grapevine/agent/observer"
	"grapevine/fleet"
)

// past is what the journal's copy of the picture says, beside the picture: since
// when machines are down, and which of them an operator stopped.
type past struct {
	mu       sync.Mutex
	machines map[fleet.InstanceID]journal.SeenMachine
	alive    time.Time
}

// restore begins with what the journal remembers.
func (p *past) restore(seen *journal.Seen) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.alive = seen.Host.Alive
	p.machines = make(map[fleet.InstanceID]journal.SeenMachine, len(seen.Machines))
	for _, m := range seen.Machines {
		p.machines[m.ID] = m
	}
}

// aged reports whether a sign of life is to be written although nothing changed.
func (p *past) aged(now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return now.Sub(p.alive) >= fleet.AliveEvery || now.Before(p.alive)
}

// take returns the copy of a picture to write.
func (p *past) take(picture *observer.Picture, now time.Time) journal.Seen {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now.Sub(p.alive) >= fleet.AliveEvery || now.Before(p.alive) {
		p.alive = now
	}
	next := make(map[fleet.InstanceID]journal.SeenMachine, len(picture.Machines))
	seen := journal.Seen{Host: journal.SeenHost{Description: picture.Description, Images: picture.Images, Alive: p.alive}}
	for id, s := range picture.Machines {
		m := p.after(s)
		next[id], seen.Machines = m, append(seen.Machines, m)
	}
	p.machines = next
	return seen
}

// after is the entry of a machine that is now seen so. The caller holds the lock.
func (p *past) after(s observer.Sighting) journal.SeenMachine {
	m, before := journal.SeenMachine{Machine: s.Machine, At: s.At}, p.machines[s.ID]
	switch {
	case s.Power == fleet.PowerRunning:
	case before.Power == fleet.PowerRunning:
		m.DownSince = s.At
	default:
		m.DownSince, m.Halted = before.DownSince, before.Halted
	}
	return m
}

// acted is the entry of a machine after an operation on it.
func (p *past) acted(op *journal.Operation, s observer.Sighting, succeeded bool) *journal.SeenMachine {
	p.mu.Lock()
	defer p.mu.Unlock()
	m := p.after(s)
	if op.Verb == string(fleet.Stop) && succeeded && s.Power != fleet.PowerRunning {
		m.Halted = true
	}
	if p.machines == nil {
		p.machines = map[fleet.InstanceID]journal.SeenMachine{}
	}
	p.machines[s.ID] = m
	return &m
}

// halted reports whether an operator stopped a machine, and nobody started it
// since.
func (p *past) halted(id fleet.InstanceID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.machines[id].Halted
}

// plan says what is to be started after a boot of the host, by what was seen
// before it. Pending was to be started after the boot before.
func (p *past) plan(pending []fleet.InstanceID) []fleet.InstanceID {
	p.mu.Lock()
	defer p.mu.Unlock()
	waits := make(map[fleet.InstanceID]bool, len(pending))
	for _, id := range pending {
		waits[id] = true
	}
	var machines []autostart.Machine
	for id, m := range p.machines {
		if m.Mark != nil {
			machines = append(machines, autostart.Machine{
				ID: id, Autostart: m.Mark.Autostart, Order: m.Mark.StartOrder, Ran: m.Power == fleet.PowerRunning,
				DownSince: m.DownSince, Halted: m.Halted, Pending: waits[id],
			})
		}
	}
	return autostart.Plan(machines, p.alive)
}

// cameDown is when a machine was last seen to have been switched off.
func (p *past) cameDown(id fleet.InstanceID) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.machines[id].DownSince
}
