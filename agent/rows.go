package agent

import (
	"slices"
	"time"

	"grapevine/agent/journal"
	"grapevine/agent/ledger"
	"grapevine/agent/observer"
	"grapevine/fleet"
)

// machineRow describes a machine that the hypervisor shows, with what the
// agent is doing to it and why its last operation failed.
func machineRow(host *fleet.Host, s observer.Sighting, op *journal.Operation, fault string) fleet.Instance {
	row := fleet.Instance{
		ID:         s.ID,
		Name:       s.Name,
		Host:       host.ID,
		Hypervisor: host.Hypervisor,
		Ownership:  fleet.Foreign,
		Power:      s.Power,
		Fault:      fault,
		VCPUs:      s.Resources.VCPUs,
		MemoryMiB:  s.Resources.MemoryMiB,
		DiskGiB:    s.Resources.DiskGiB,
		Addresses:  s.Addresses,
		ObservedAt: s.At,
	}
	if s.Mark != nil {
		row.Ownership = fleet.Managed
		row.Name = s.Mark.Name
		row.Project = s.Mark.Project
		row.Flavor = s.Mark.Flavor
		row.Image = s.Mark.Image
		row.Rescue = s.Mark.Rescue.Image
		row.CreatedAt = s.Mark.CreatedAt
		row.Labels = s.Mark.Labels
		row.Group = s.Mark.Group.ID
		row.Generation = s.Mark.Generation
		row.Autostart, row.StartOrder = s.Mark.Autostart, s.Mark.StartOrder
	}
	row.Task = taskOf(op)
	if op != nil && op.Moving != nil {
		row.Migration = op.ID
	}
	return row
}

// claimRow describes an instance that the host has promised and the hypervisor
// does not show yet, or never will: its power is unknown, not stopped.
func claimRow(host *fleet.Host, c *ledger.Claim, op *journal.Operation, at time.Time) fleet.Instance {
	p := &c.Proposal
	return fleet.Instance{
		ID:         p.ID,
		Name:       p.Name,
		Project:    p.Project,
		Host:       host.ID,
		Hypervisor: host.Hypervisor,
		Ownership:  fleet.Managed,
		Power:      fleet.PowerUnknown,
		Task:       taskOf(op),
		Fault:      c.Fault,
		Flavor:     p.Flavor,
		Image:      p.Image,
		VCPUs:      p.VCPUs,
		MemoryMiB:  p.MemoryMiB,
		DiskGiB:    p.DiskGiB,
		Labels:     p.Labels,
		Group:      p.Group.ID,
		Autostart:  p.Autostart,
		StartOrder: p.StartOrder,
		CreatedAt:  at,
		ObservedAt: at,
	}
}

// The verbs of operations that are not instance actions.
const (
	verbCreate = "create"
	verbDelete = "delete"
	verbResize = "resize"
)

// taskOf names what an operation does, as a row shows it.
func taskOf(op *journal.Operation) fleet.Task {
	switch {
	case op == nil:
		return fleet.TaskNone
	case op.Verb == verbCreate:
		return fleet.TaskBuilding
	case op.Verb == verbDelete:
		return fleet.TaskDeleting
	case op.Verb == verbResize:
		return fleet.TaskResizing
	case op.Verb == fleet.VerbMigrate:
		return fleet.TaskMigrating
	case op.Verb == fleet.VerbAutostart:
		return fleet.TaskMarking
	case op.Verb == fleet.VerbRebuild:
		return fleet.TaskRebuilding
	case op.Verb == fleet.VerbRescue:
		return fleet.TaskRescuing
	case op.Verb == fleet.VerbUnrescue:
		return fleet.TaskUnrescuing
	case fleet.SnapshotVerb(op.Verb).Known(), op.Verb == fleet.VerbCapture, op.Verb == fleet.VerbExport:
		return fleet.TaskSnapshotting
	case op.Verb == string(fleet.AttachDevice):
		return fleet.TaskAttaching
	case op.Verb == string(fleet.DetachDevice):
		return fleet.TaskDetaching
	case op.Verb == string(fleet.GrowDisk):
		return fleet.TaskResizing
	default:
		return fleet.InstanceAction(op.Verb).Task()
	}
}

// describeHost fills in what the hypervisor says of the host.
func describeHost(host *fleet.Host, p *observer.Picture) {
	d := &p.Description
	host.Hypervisor = d.Hypervisor
	host.HypervisorVersion = d.Version
	host.Hardware = d.Hardware
	if d.Maintenance && host.State == fleet.HostOK {
		host.State = fleet.HostMaintenance
	}
	host.Traits = slices.Clone(d.Traits)
	for _, f := range d.Features {
		host.Traits = append(host.Traits, string(f))
	}
	host.Traits = append(host.Traits, imageTraits(d)...)
	if d.StorageFull {
		host.Traits = append(host.Traits, fleet.TraitStorageFull)
	}
	slices.Sort(host.Traits)
	host.Networks = d.Networks[:min(len(d.Networks), fleet.MaxNetworks)]
	host.Images = make([]string, 0, len(p.Images))
	for _, im := range p.Images {
		host.Images = append(host.Images, im.ID)
	}
	slices.Sort(host.Images)
	host.HypervisorFault = p.Fault
	host.HypervisorFaultSince = nil
	if p.Fault != "" {
		since := p.FaultSince
		host.HypervisorFaultSince = &since
	}
}
