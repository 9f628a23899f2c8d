package agent

import (
	"context"
	"errors"
	"fmt"

	"grapevine/drivers"
	"grapevine/fleet"
)

// VerifyHost implements view.Local: it reads hypervisor, storage and journal
// afresh, compares them, and changes nothing.
func (l *local) VerifyHost(ctx context.Context, id fleet.HostID) (fleet.Verification, error) {
	a := (*Agent)(l)
	if err := a.mine(id); err != nil {
		return fleet.Verification{}, err
	}
	// What is under way is taken before and after: it may come or go in between,
	// and is then no finding.
	v := &verifying{a: a, moving: map[fleet.InstanceID]bool{}, machines: map[fleet.InstanceID]drivers.Machine{}}
	v.moves()
	volumes, err := v.volumes(ctx)
	if err != nil {
		return fleet.Verification{}, driverError("look through the storage", err)
	}
	machines, err := a.driver.List(ctx)
	if err != nil {
		return fleet.Verification{}, driverError("list the machines", err)
	}
	for _, m := range machines {
		v.machines[m.ID] = m
	}
	rows, _ := a.rows()
	v.moves()
	v.rows(ctx, rows.Instances)
	v.orphans(machines)
	v.leaks(volumes)
	out := fleet.Verification{Items: v.found, Coverage: fleet.Coverage{Heard: 1, Known: 1}}
	out.Order()
	return out, nil
}

// verifying is one look through a host.
type verifying struct {
	a        *Agent
	moving   map[fleet.InstanceID]bool // under an operation at some time of the look
	machines map[fleet.InstanceID]drivers.Machine
	found    []fleet.Finding
}

func (v *verifying) find(kind fleet.FindingType, id fleet.InstanceID, what, do string) {
	v.found = append(v.found, fleet.Finding{Type: kind, Host: v.a.hostID, HostName: v.a.name(), Instance: id, What: what, Do: do})
}

// moves notes what operations are about.
func (v *verifying) moves() {
	s := v.a.state
	s.mu.Lock()
	defer s.mu.Unlock()
	for id := range s.busy {
		v.moving[id] = true
	}
	for id := range s.lent {
		v.moving[id] = true
	}
}

func (v *verifying) volumes(ctx context.Context) ([]drivers.Volume, error) {
	lister, ok := v.a.driver.(drivers.VolumeLister)
	if !ok {
		v.find(fleet.FindUnchecked, fleet.InstanceID{}, fmt.Sprintf("the storage of host %s is not looked through for disks that belong to no machine", v.a.name()),
			"look through its storage by hand from time to time")
		return nil, nil
	}
	return lister.Volumes(ctx)
}

// rows compares what the host says of itself with what its hypervisor has.
func (v *verifying) rows(ctx context.Context, rows []fleet.Instance) {
	shown := map[fleet.InstanceID]bool{}
	for i := range rows {
		row := &rows[i]
		shown[row.ID] = true
		_, there := v.machines[row.ID]
		switch {
		case there || v.moving[row.ID]:
		case v.claimed(row.ID):
			v.find(fleet.FindClaim, row.ID, fmt.Sprintf("instance %s (%s) was promised and never built: %s", row.Name, row.ID, row.Fault),
				"delete it with: grapevine instance delete "+row.ID.String())
		case v.absent(ctx, row.ID):
			v.find(fleet.FindGhost, row.ID, fmt.Sprintf("instance %s (%s) is shown as %s, and the hypervisor has no such machine", row.Name, row.ID, row.Power),
				"have the host look again with: grapevine instance show --fresh "+row.ID.String())
		}
	}
	for id, m := range v.machines {
		if !shown[id] && !v.moving[id] && !v.absent(ctx, id) {
			v.find(fleet.FindUnlisted, id, fmt.Sprintf("the hypervisor has a machine %s (%s) that the host does not show", m.Name, id),
				"have the host look again with: grapevine host show --fresh "+v.a.name())
		}
	}
}

func (v *verifying) claimed(id fleet.InstanceID) bool {
	v.a.state.mu.Lock()
	defer v.a.state.mu.Unlock()
	return v.a.state.ledger.Claim(id) != nil
}

// absent looks once more: a machine may have come or gone since the listing.
func (v *verifying) absent(ctx context.Context, id fleet.InstanceID) bool {
	_, err := v.a.driver.Inspect(ctx, id)
	return errors.Is(err, drivers.ErrNotFound)
}

// orphans finds managed machines that the journal knows to be deleted, and those
// that bear the mark of another machine, as a copy made by hand does.
func (v *verifying) orphans(machines []drivers.Machine) {
	v.a.state.mu.Lock()
	deleted := map[fleet.InstanceID]bool{}
	for id := range v.a.state.deleted {
		deleted[id] = true
	}
	v.a.state.mu.Unlock()
	for _, m := range machines {
		switch {
		case m.Mark == nil || v.moving[m.ID]:
		case m.Mark.ID != m.ID:
			v.find(fleet.FindOrphan, m.ID, fmt.Sprintf("machine %s (%s) bears the mark of instance %s, as a copy made by hand does", m.Name, m.ID, m.Mark.ID),
				"take the mark off with: grapevine instance disown "+m.ID.String())
		case deleted[m.ID]:
			v.find(fleet.FindOrphan, m.ID, fmt.Sprintf("machine %s (%s) was deleted here and is there again, as after a restore from a backup", m.Mark.Name, m.ID),
				"delete it again, or let it be foreign with: grapevine instance disown "+m.ID.String())
		}
	}
}

// leaks finds storage that was made for machines that are not there.
func (v *verifying) leaks(volumes []drivers.Volume) {
	for _, vol := range volumes {
		if _, there := v.machines[vol.Machine]; !there && !v.moving[vol.Machine] {
			v.find(fleet.FindLeakedDisk, vol.Machine, fmt.Sprintf("volume %s was made for instance %s, and no machine has that id", vol.Name, vol.Machine),
				"look at what is on it, and remove it with the hypervisor's own tools")
		}
	}
}
