package esxi

import (
	"context"

	"github.com/vmware/govmomi/vim25/types"

	"grapevine/drivers"
	"grapevine/fleet"
)

var _ drivers.Metered = (*Driver)(nil)

const pathQuickStats = "summary.quickStats"

// Usage implements drivers.Metered with what the host keeps at hand of each
// machine: the processors' and the memory's use at this time. It keeps no counts
// since the machine was switched on; those of disks and networks are in its
// performance manager, and begin again every 20 seconds.
func (d *Driver) Usage(ctx context.Context) (map[fleet.InstanceID]fleet.Usage, error) {
	all := map[fleet.InstanceID]fleet.Usage{}
	err := d.do(ctx, "read usage", func(ctx context.Context, s *session) error {
		clear(all)
		res, err := s.properties().RetrieveProperties(ctx, types.RetrieveProperties{
			SpecSet: []types.PropertyFilterSpec{s.machineSpec([]string{pathUUID, pathPower, pathQuickStats})},
		})
		if err != nil {
			return err
		}
		for _, content := range res.Returnval {
			if id, used, ok := usageOf(content.PropSet); ok {
				all[id] = used
			}
		}
		return nil
	})
	return all, err
}

// usageOf reads the usage of a machine that is on.
func usageOf(set []types.DynamicProperty) (id fleet.InstanceID, used fleet.Usage, ok bool) {
	var on, named bool
	for _, p := range set {
		switch v := p.Val.(type) {
		case string:
			var err error
			id, err = fleet.ParseUUID(v)
			named = err == nil
		case types.VirtualMachinePowerState:
			on = v == types.VirtualMachinePowerStatePoweredOn
		case types.VirtualMachineQuickStats:
			used.CPUHertz = new(int64(v.OverallCpuUsage) * 1e6)    // told in MHz
			used.MemoryBytes = new(int64(v.HostMemoryUsage) << 20) // told in MiB
		}
	}
	return id, used, on && named
}
