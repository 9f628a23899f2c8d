package simulated

import (
	"context"
	"errors"
	"fmt"

	"grapevine/drivers"
	"grapevine/fleet"
)

var _ drivers.Rescuer = (*Driver)(nil)

// Rescue implements drivers.Rescuer. All that changes is what the machine boots,
// which its mark says. It takes the steps of a build, and meets the faults that
// are set for one.
func (d *Driver) Rescue(ctx context.Context, id fleet.InstanceID, im fleet.Image, mark drivers.Mark) error {
	err := d.alone(ctx, id, func(c *call, m *machine) error {
		if m.Mark.Rescue.Is() && m.Mark.Rescue.Image == im.ID {
			return nil
		}
		held, err := d.h.bootable(im.ID)
		if err != nil {
			return err
		}
		seen := m.view()
		if err := drivers.Rescuable(&seen, m.device(drivers.DiskName(0)) >= 0, &held); err != nil {
			return err
		}
		for step := BeforeDisk; step <= BeforeDefine; step++ {
			if err := c.pass(ctx, step); err != nil {
				return err
			}
		}
		return errors.Join(d.h.remark(id, mark), c.pass(ctx, AfterDefine))
	})
	if err != nil {
		return fmt.Errorf("rescue machine %s: %w", id, err)
	}
	return nil
}

// Unrescue implements drivers.Rescuer.
func (d *Driver) Unrescue(ctx context.Context, id fleet.InstanceID, mark drivers.Mark) error {
	err := d.alone(ctx, id, func(c *call, m *machine) error {
		seen := m.view()
		if !m.Mark.Rescue.Is() {
			return nil
		}
		if err := drivers.StoppedFor(&seen, "unrescued"); err != nil {
			return err
		}
		if err := c.pass(ctx, BeforeDefine); err != nil {
			return err
		}
		return errors.Join(d.h.remark(id, mark), c.pass(ctx, AfterDefine))
	})
	if err != nil {
		return fmt.Errorf("unrescue machine %s: %w", id, err)
	}
	return nil
}

// alone does something to a managed machine, of which do gets a copy, while
// nothing else does.
func (d *Driver) alone(ctx context.Context, id fleet.InstanceID, do func(*call, *machine) error) error {
	c, done, err := d.begin(ctx)
	if err != nil {
		return err
	}
	defer done()
	release, err := c.claim(ctx, id)
	if err != nil {
		return err
	}
	defer release()
	m, err := d.h.managed(id)
	if err != nil {
		return err
	}
	return do(c, &m)
}

// remark gives a stopped machine another mark.
func (h *Hypervisor) remark(id fleet.InstanceID, mark drivers.Mark) error {
	return h.changeManaged(id, func(m *machine) error {
		seen := m.view()
		if h.full && mark.Rescue.Is() {
			return drivers.ErrOutOfSpace
		}
		m.Mark = mark.Clone()
		return drivers.StoppedFor(&seen, "rescued")
	})
}
