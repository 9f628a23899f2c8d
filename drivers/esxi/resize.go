package esxi

import (
	"context"
	"fmt"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/types"

	"grapevine/drivers"
	"grapevine/fleet"
)

var _ drivers.LiveResizer = (*Driver)(nil)

// Resize implements drivers.LiveResizer. The host takes processors, memory, disk
// and mark in one task: all of it or nothing.
func (d *Driver) Resize(ctx context.Context, id fleet.InstanceID, size fleet.Resources, mark drivers.Mark) error {
	return d.do(ctx, fmt.Sprintf("resize machine %s", id), func(ctx context.Context, s *session) error {
		m, err := d.find(ctx, s, id)
		if err != nil {
			return err
		}
		if err := s.takes(ctx, &m, size); err != nil {
			return err
		}
		options, err := markOptions(mark)
		if err != nil {
			return err
		}
		spec := types.VirtualMachineConfigSpec{NumCPUs: int32(size.VCPUs), MemoryMB: size.MemoryMiB, ExtraConfig: options} // bounded by what a host has
		if size.DiskGiB > m.Resources.DiskGiB {
			if spec.DeviceChange, err = s.grownDisk(ctx, m.ref, size.DiskGiB-m.Resources.DiskGiB); err != nil {
				return err
			}
		}
		task, err := object.NewVirtualMachine(s.client, m.ref).Reconfigure(ctx, spec)
		return s.wait(ctx, task, err)
	})
}

// grownDisk is the change that makes a machine's first disk larger by so much.
func (s *session) grownDisk(ctx context.Context, vm types.ManagedObjectReference, gib int64) ([]types.BaseVirtualDeviceConfigSpec, error) {
	devices, err := s.devices(ctx, vm)
	if err != nil {
		return nil, err
	}
	disk := firstDisk(devices)
	if disk == nil {
		return nil, drivers.Unfit("which of its disks is to grow cannot be told")
	}
	disk.CapacityInKB = (sizeOf(disk) + gib) << 20
	disk.CapacityInBytes = disk.CapacityInKB << 10
	return []types.BaseVirtualDeviceConfigSpec{&types.VirtualDeviceConfigSpec{Operation: types.VirtualDeviceConfigSpecOperationEdit, Device: disk}}, nil
}
