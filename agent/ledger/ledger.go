// Package ledger is one host's account: what its machines and its claims take,
// and what it will still admit. It is pure: the agent locks it, writes its
// claims to the journal, and tells it what the hypervisor reports.
//
// A claim and the machine built from it have the same id and are counted once,
// each resource at the larger of the two numbers, so that nothing is promised
// twice while a machine grows out of its claim.
package ledger

import (
	"fmt"
	"maps"

	"grapevine/fleet"
)

// Terms are the conditions under which a host gives out what it has.
type Terms struct {
	// VCPURatio, MemoryRatio and DiskRatio multiply the physical totals: 4
	// means four vCPUs for each physical one. Zero means 1.
	VCPURatio, MemoryRatio, DiskRatio float64
	// Reserve is kept for the host itself: at least as much as SetHeld says.
	Reserve fleet.Resources
}

// Ledger is the account. Its zero value is not usable; see New.
type Ledger struct {
	terms    Terms
	physical fleet.Resources
	held     fleet.Resources
	machines map[fleet.InstanceID]fleet.Resources
	claims   map[fleet.InstanceID]*Claim
	growing  map[fleet.InstanceID]fleet.Resources // the size that each machine is getting
	groups   map[fleet.InstanceID]fleet.GroupID   // of the machines that are in one
	// refused has the highest attempt refused for good, of instances and of the
	// anchors of groups.
	refused map[fleet.InstanceID]uint32
}

// New returns an empty account.
func New(terms Terms) *Ledger {
	return &Ledger{
		terms:    terms,
		machines: map[fleet.InstanceID]fleet.Resources{},
		claims:   map[fleet.InstanceID]*Claim{},
		growing:  map[fleet.InstanceID]fleet.Resources{},
		refused:  map[fleet.InstanceID]uint32{},
	}
}

// SetPhysical tells what the machine has, before overcommit.
func (l *Ledger) SetPhysical(r fleet.Resources) { l.physical = r }

// SetHeld tells what of that the hypervisor and the host's own system hold, and
// no machine can have.
func (l *Ledger) SetHeld(r fleet.Resources) { l.held = r }

// SetMachines tells what the machines on the host take, managed and foreign.
// The ledger keeps the map.
func (l *Ledger) SetMachines(m map[fleet.InstanceID]fleet.Resources) { l.machines = m }

// Capacity returns the account as it is published.
func (l *Ledger) Capacity() fleet.Capacity {
	var allocated fleet.Resources
	for _, r := range l.machines {
		allocated = allocated.Plus(r)
	}
	for id, c := range l.claims {
		if c.Fault == "" {
			allocated = allocated.Plus(beyond(c.Proposal.Resources, l.machines[id]))
		}
	}
	for id, size := range l.growing {
		allocated = allocated.Plus(beyond(size, l.machines[id]))
	}
	total := fleet.Resources{
		VCPUs:     scale(l.physical.VCPUs, l.terms.VCPURatio),
		MemoryMiB: scale(l.physical.MemoryMiB, l.terms.MemoryRatio),
		DiskGiB:   scale(l.physical.DiskGiB, l.terms.DiskRatio),
	}
	reserved := l.held.Plus(beyond(l.terms.Reserve, l.held)) // the larger of the two
	return fleet.NewCapacity(total, reserved, allocated)
}

// beyond returns how much more was claimed than the machine shows so far.
func beyond(claimed, machine fleet.Resources) fleet.Resources {
	return fleet.Resources{
		VCPUs:     max(claimed.VCPUs-machine.VCPUs, 0),
		MemoryMiB: max(claimed.MemoryMiB-machine.MemoryMiB, 0),
		DiskGiB:   max(claimed.DiskGiB-machine.DiskGiB, 0),
	}
}

// scale returns how many whole units n are by the ratio. 100 by 1.15 are 115,
// although the nearest number to 1.15 that a machine can write is less.
func scale(n int64, ratio float64) int64 {
	if ratio == 0 {
		return n
	}
	return int64(float64(n)*ratio + 1e-6)
}

// Admit judges a proposal against host, this host's own fresh row, and books a
// claim when it fits. Otherwise it returns why not and remembers the attempt
// as refused; with RefuseAnchor, that of the group's anchor too. Either outcome
// must be made durable before it is told.
func (l *Ledger) Admit(host *fleet.Host, p fleet.Proposal, operation string) (*Claim, []fleet.Refusal) {
	if attempt, ok := l.refused[p.ID]; ok && p.Attempt <= attempt {
		return nil, []fleet.Refusal{{
			Code:   fleet.RefuseDuplicate,
			Detail: fmt.Sprintf("it has refused attempt %d of this instance before, and keeps to it", attempt),
		}}
	}
	if refusals := l.moved(&p.Group); len(refusals) > 0 {
		l.Refuse(p)
		return nil, refusals
	}
	row := *host
	row.Capacity = l.Capacity()
	asked := p.Request
	asked.Group = l.joining(host.ID, &p)
	if refusals := fleet.Fits(&row, &asked); len(refusals) > 0 {
		l.Refuse(p)
		return nil, l.giveUp(host.ID, &asked.Group, refusals)
	}
	return l.book(p, operation), nil
}

// Take is Admit for an instance, of no group, that another host has and gives:
// there is one who proposes it, and a refusal is of this time alone.
func (l *Ledger) Take(host *fleet.Host, p fleet.Proposal, operation string) (*Claim, []fleet.Refusal) {
	row := *host
	row.Capacity = l.Capacity()
	if refusals := fleet.Fits(&row, &p.Request); len(refusals) > 0 {
		return nil, refusals
	}
	return l.book(p, operation), nil
}

func (l *Ledger) book(p fleet.Proposal, operation string) *Claim {
	claim := &Claim{Proposal: p, Operation: operation}
	l.claims[p.ID] = claim
	return claim
}

// Refuse remembers the attempt as refused, for reasons that the caller knows.
func (l *Ledger) Refuse(p fleet.Proposal) { l.refused[p.ID] = max(l.refused[p.ID], p.Attempt) }

// Refused returns the highest attempt refused for good, 0 for none.
func (l *Ledger) Refused(id fleet.UUID) uint32 { return l.refused[id] }

// Claim returns the claim for an instance, nil for none.
func (l *Ledger) Claim(id fleet.InstanceID) *Claim { return l.claims[id] }

// Claims returns all claims, in no order.
func (l *Ledger) Claims() []*Claim {
	out := make([]*Claim, 0, len(l.claims))
	for _, c := range l.claims {
		out = append(out, c)
	}
	return out
}

// Restore books what the journal remembers, at the agent's start.
func (l *Ledger) Restore(claims []Claim, refused map[fleet.InstanceID]uint32) {
	for _, c := range claims {
		l.claims[c.ID()] = &c
	}
	maps.Copy(l.refused, refused)
}

// Fail keeps the claim to show its fault, and frees what it held.
func (l *Ledger) Fail(id fleet.InstanceID, fault string) {
	if c := l.claims[id]; c != nil {
		c.Fault = fault
	}
}

// Release drops the claim: its machine stands for itself, or was given up.
func (l *Ledger) Release(id fleet.InstanceID) { delete(l.claims, id) }

// Forget drops the memory of a refusal that is too old to matter.
func (l *Ledger) Forget(id fleet.InstanceID) { delete(l.refused, id) }
