package simulated

import (
	"context"
	"fmt"
	"slices"

	"grapevine/drivers"
	"grapevine/fleet"
)

var _ drivers.LiveResizer = (*Driver)(nil)

// Resize implements drivers.LiveResizer.
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
		if err := d.h.judge(m, size); err != nil {
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

// ResizableLive implements drivers.LiveResizer.
func (d *Driver) ResizableLive(ctx context.Context, id fleet.InstanceID, size fleet.Resources) error {
	_, done, err := d.begin(ctx)
	if err == nil {
		defer done()
		d.h.mu.Lock()
		defer d.h.mu.Unlock()
		if m, ok := d.h.machines[id]; ok {
			err = d.h.judge(m, size)
		} else {
			err = drivers.ErrNotFound
		}
	}
	if err != nil {
		return fmt.Errorf("resize machine %s: %w", id, err)
	}
	return nil
}

// growsLive: what runs takes more, but on Xen, whose real driver has no word on
// what its guests take.
func (h *Hypervisor) growsLive() bool { return h.config.Hypervisor != fleet.Xen }

func (h *Hypervisor) judge(m *machine, size fleet.Resources) error {
	seen := m.view()
	if h.growsLive() {
		return drivers.ResizableLive(&seen, size)
	}
	return drivers.Resizable(&seen, size)
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
