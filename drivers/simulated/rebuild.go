package simulated

import (
	"context"
	"fmt"

	"grapevine/drivers"
	"grapevine/fleet"
)

var _ drivers.Rebuilder = (*Driver)(nil)

// Rebuild implements drivers.Rebuilder. It takes the steps of a build, and meets
// the faults that are set for one.
func (d *Driver) Rebuild(ctx context.Context, id fleet.InstanceID, r drivers.Rebuild) error {
	err := d.alone(ctx, id, func(c *call, m *machine) error { return d.rebuild(ctx, c, m, &r) })
	if err != nil {
		return fmt.Errorf("rebuild machine %s: %w", id, err)
	}
	return nil
}

func (d *Driver) rebuild(ctx context.Context, c *call, m *machine, r *drivers.Rebuild) (err error) {
	if r.Done(m.Mark) {
		return nil
	}
	if r.Image, err = d.h.bootable(r.Image.ID); err != nil {
		return err
	}
	if err := rebuildable(m, r); err != nil {
		return err
	}
	for step := BeforeDisk; step <= BeforeDefine; step++ {
		if err := c.pass(ctx, step); err != nil {
			return err
		}
	}
	err = d.h.changeManaged(m.ID, func(m *machine) error {
		if err := rebuildable(m, r); err != nil {
			return err
		}
		if d.h.full {
			return drivers.ErrOutOfSpace
		}
		content := diskContent{}
		if f, ok := storedDisk(r.Image); ok {
			content.Begin = &f
			if err := d.h.holdFile(m, f); err != nil {
				return err
			}
		}
		m.setContent(drivers.DiskName(0), content)
		m.Mark = r.Mark.Clone()
		if r.Guest != nil {
			m.Guest = *r.Guest
		}
		return nil
	})
	if err != nil {
		return err
	}
	return c.pass(ctx, AfterDefine)
}

// rebuildable says why the machine cannot be rebuilt so.
func rebuildable(m *machine, r *drivers.Rebuild) error {
	switch {
	case m.Mark == nil:
		return drivers.ErrForeign
	case m.Mark.Image == "":
		return drivers.Unfit("it was adopted, and its disk was not made from an image")
	case len(m.Snapshots) > 0:
		return drivers.ErrHasSnapshots
	}
	first := int64(0)
	if i := m.device(drivers.DiskName(0)); i >= 0 {
		first = m.Devices[i].SizeGiB
	}
	seen := m.view()
	return drivers.Rebuildable(&seen, first, &r.Image)
}

// bootable returns an image that is here and that machines of this host boot.
func (h *Hypervisor) bootable(id string) (fleet.Image, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	im, ok := h.images[id]
	if !ok {
		return im, fmt.Errorf("image %.12s: %w", id, drivers.ErrNotFound)
	}
	return im, drivers.Bootable(im, h.describe().Features)
}
