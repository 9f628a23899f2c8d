package simulated

import (
	"crypto/rand"
	"fmt"
	"slices"
	"time"

	"grapevine/drivers"
	"grapevine/fleet"
)

// Foreign is a machine to define behind the agent's back.
type Foreign struct {
	ID        fleet.InstanceID // drawn when zero
	Name      string
	Resources fleet.Resources
	Running   bool
}

// Define makes a machine without a Mark, as a person at the host would.
func (h *Hypervisor) Define(f Foreign) (fleet.InstanceID, error) {
	if f.ID.IsZero() {
		var b [16]byte
		rand.Read(b[:])
		f.ID = fleet.NewUUIDv4(b)
	}
	m := &machine{ID: f.ID, Name: f.Name, Power: fleet.PowerStopped, Resources: f.Resources}
	if gib := f.Resources.DiskGiB; gib > 0 {
		m.Devices = []fleet.Device{{Kind: fleet.DeviceDisk, Name: drivers.DiskName(0), SizeGiB: gib}}
	}
	if f.Running {
		m.powerOn(time.Now())
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, ok := h.machines[f.ID]; ok {
		return f.ID, fmt.Errorf("define machine %s: it is already there", f.ID)
	}
	return f.ID, h.put(m)
}

// PowerOn starts a machine behind the agent's back.
func (h *Hypervisor) PowerOn(id fleet.InstanceID) error {
	return h.change(id, func(m *machine) error { return apply(m, fleet.Start, time.Now()) })
}

// PowerOff stops a machine behind the agent's back.
func (h *Hypervisor) PowerOff(id fleet.InstanceID) error {
	return h.change(id, func(m *machine) error { return apply(m, fleet.Stop, time.Now()) })
}

// Crash makes a machine's guest panic.
func (h *Hypervisor) Crash(id fleet.InstanceID) error {
	return h.change(id, func(m *machine) error {
		m.Power = fleet.PowerCrashed
		return nil
	})
}

// Remove undefines a machine, managed or not, behind the agent's back.
func (h *Hypervisor) Remove(id fleet.InstanceID) error {
	h.mu.Lock()
	_, ok := h.machines[id]
	h.mu.Unlock()
	if !ok {
		return fmt.Errorf("remove machine %s: %w", id, drivers.ErrNotFound)
	}
	return h.discard(id)
}

// IgnoreShutdown makes a machine's guest deaf to shutdown requests, or not.
func (h *Hypervisor) IgnoreShutdown(id fleet.InstanceID, ignore bool) error {
	return h.change(id, func(m *machine) error {
		m.IgnoresShutdown = ignore
		return nil
	})
}

// Guest returns what a machine's cloud-init would find.
func (h *Hypervisor) Guest(id fleet.InstanceID) fleet.Guest {
	h.mu.Lock()
	defer h.mu.Unlock()
	if m, ok := h.machines[id]; ok {
		return m.Guest
	}
	return fleet.Guest{}
}

// Machines returns all machines, ordered by id, whether or not the hypervisor
// answers its drivers.
func (h *Hypervisor) Machines() []drivers.Machine {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := make([]drivers.Machine, 0, len(h.machines))
	for _, m := range h.machines {
		out = append(out, m.view())
	}
	slices.SortFunc(out, func(a, b drivers.Machine) int { return a.ID.Compare(b.ID) })
	return out
}

// Disks returns the ids of all disks, ordered: those of the machines that
// Build made, and any that a build cut short has left.
func (h *Hypervisor) Disks() []fleet.InstanceID {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := make([]fleet.InstanceID, 0, len(h.disks))
	for id := range h.disks {
		out = append(out, id)
	}
	slices.SortFunc(out, fleet.InstanceID.Compare)
	return out
}
