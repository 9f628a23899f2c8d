package simulated

import (
	"context"
	"fmt"
	"slices"

	"grapevine/drivers"
	"grapevine/fleet"
)

var _ drivers.Resizer = (*Driver)(nil)

// Resize implements drivers.Resizer.
func (d *Driver) Resize(ctx context.Context, id fleet.InstanceID, size fleet.Resources, mark drivers.Mark) error {
	if err := d.resize(ctx, id, size, mark); err != nil {
		return fmt.Errorf("resize machine %s: %w", id, err)
	}
	return nil
}

func (d *Driver) resize(ctx context.Context, id fleet.InstanceID, size fleet.Resources, mark drivers.Mark) error {
	_, done, err := d.begin(ctx)
	if err != nil {
		return err
	}
	defer done()
	return d.h.change(id, func(m *machine) error {
		seen := m.view()
		if err := drivers.Resizable(&seen, size); err != nil {
			return err
		}
		if size.DiskGiB > m.Resources.DiskGiB {
			if err := d.h.growDisk(id, size.DiskGiB); err != nil {
				return err
			}
		}
		if first := m.device(drivers.DiskName(0)); first >= 0 {
			m.Devices = slices.Clone(m.Devices)
			m.Devices[first].SizeGiB += size.DiskGiB - m.Resources.DiskGiB
		}
		m.Resources, m.Mark = size, mark.Clone()
		return nil
	})
}

// growDisk makes the disk larger; the caller holds the lock.
func (h *Hypervisor) growDisk(id fleet.InstanceID, gib int64) error {
	if h.full {
		return drivers.ErrOutOfSpace
	}
	if err := h.store.save(disksDir, id.String(), disk{ID: id, GiB: gib}); err != nil {
		return err
	}
	h.disks[id] = gib
	return nil
}
