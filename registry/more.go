package registry

import (
	"context"
	"fmt"
	"slices"

	"grapevine/fleet"
	"grapevine/people"
)

// more is what an instance that is there is to take more of its project's quota.
type more struct {
	claim claim
	taken people.Taken
}

// within has the owner of an instance asked for what gives it more, if the project's
// quota has room for that.
func (c *core) within(project string, m more, ask func() (fleet.Accepted, error)) (fleet.Accepted, error) {
	held, err := c.quotas.hold(project, m.claim, m.taken)
	if err != nil {
		return fleet.Accepted{}, err
	}
	accepted, err := ask()
	held.done(accepted.Version, err)
	return accepted, err
}

// grown is what an instance takes more with another size. A flavor says how large
// the first disk is, and further ones stay as they are.
func (c *core) grown(ctx context.Context, row *fleet.Instance, to fleet.Resources) (more, error) {
	m := more{claim: claim{id: row.ID, what: "size", task: fleet.TaskResizing}}
	m.taken.VCPUs, m.taken.MemoryMiB = max(to.VCPUs-row.VCPUs, 0), max(to.MemoryMiB-row.MemoryMiB, 0)
	if to.DiskGiB == 0 {
		return m, nil
	}
	var err error
	m.taken.DiskGiB, err = c.diskGrown(ctx, row, firstDisk, to.DiskGiB)
	return m, err
}

// firstDisk is what the first disk of every machine is called.
const firstDisk = "disk-0"

// moreDisk is what an instance takes more with a change of its devices.
func (c *core) moreDisk(ctx context.Context, row *fleet.Instance, change *fleet.DeviceChange) (m more, err error) {
	gib := change.Device.SizeGiB
	m.claim = claim{id: row.ID, what: string(change.Verb)}
	switch {
	case change.Verb == fleet.AttachDevice && change.Device.Kind == fleet.DeviceDisk:
		// Each is another disk, also where the same is asked for again.
		m.claim.what, m.claim.task = "attach "+newInstanceID().String(), fleet.TaskAttaching
		m.taken.DiskGiB = gib
	case change.Verb == fleet.GrowDisk:
		m.claim.what, m.claim.task = fmt.Sprintf("grow %s to %d", change.Name, gib), fleet.TaskResizing
		m.taken.DiskGiB, err = c.diskGrown(ctx, row, change.Name, gib)
	}
	return m, err
}

// diskGrown is by how much a disk of an instance grows to so many GiB. Where that is
// counted the host is asked, for a row has the sum of all disks. A disk that the host
// does not know does not grow, as the host says then. One that tells no disks apart
// is believed to have one for each machine.
func (c *core) diskGrown(ctx context.Context, row *fleet.Instance, name string, gib int64) (int64, error) {
	if !c.quotas.countsDisk(row.Project) {
		return 0, nil
	}
	devices, err := c.Devices(ctx, row.ID)
	switch code := fleet.CodeOf(err); {
	case code == fleet.CodeUnsupported:
		return max(gib-row.DiskGiB, 0), nil
	case code == fleet.CodeNotFound:
		return 0, nil
	case err != nil:
		return 0, err
	}
	i := slices.IndexFunc(devices.Items, func(d fleet.Device) bool { return d.Kind == fleet.DeviceDisk && d.Name == name })
	if i < 0 {
		return 0, nil
	}
	return max(gib-devices.Items[i].SizeGiB, 0), nil
}
