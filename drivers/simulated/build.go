package simulated

import (
	"context"
	"errors"
	"fmt"
	"time"

	"grapevine/drivers"
	"grapevine/fleet"
)

// Build implements drivers.Driver.
func (d *Driver) Build(ctx context.Context, spec drivers.Spec) error {
	if err := d.build(ctx, spec); err != nil {
		return fmt.Errorf("build machine %s: %w", spec.Mark.ID, err)
	}
	return nil
}

func (d *Driver) build(ctx context.Context, spec drivers.Spec) error {
	c, done, err := d.begin(ctx)
	if err != nil {
		return err
	}
	defer done()
	id := spec.Mark.ID
	release, err := c.claim(ctx, id)
	if err != nil {
		return err
	}
	defer release()
	if exists, err := d.h.buildable(spec); exists || err != nil {
		return err
	}
	if err := c.assemble(ctx, spec); err != nil {
		return errors.Join(err, d.h.discard(id))
	}
	return nil
}

// assemble makes the disk, fills it and defines the machine.
func (c *call) assemble(ctx context.Context, spec drivers.Spec) error {
	id, h := spec.Mark.ID, c.d.h
	for step, do := range []func() error{
		func() error { return h.makeDisk(id, spec.DiskGiB()+fleet.DisksGiB(spec.Disks)) },
		func() error { return nil }, // a simulated disk refers to what it begins as
		func() error { return h.define(spec) },
	} {
		if err := c.pass(ctx, BeforeDisk+step); err != nil {
			return err
		}
		if err := do(); err != nil {
			return err
		}
	}
	return c.pass(ctx, AfterDefine)
}

// claim waits until no other build of this machine is under way.
func (c *call) claim(ctx context.Context, id fleet.InstanceID) (release func(), err error) {
	h := c.d.h
	for {
		h.mu.Lock()
		other, busy := h.building[id]
		if !busy {
			mine := make(chan struct{})
			h.building[id] = mine
			h.mu.Unlock()
			return func() {
				h.mu.Lock()
				defer h.mu.Unlock()
				delete(h.building, id)
				close(mine)
			}, nil
		}
		h.mu.Unlock()
		if err := c.until(ctx, other); err != nil {
			return nil, err
		}
	}
}

// buildable says whether the machine is already there, and why it cannot be
// built.
func (h *Hypervisor) buildable(spec drivers.Spec) (exists bool, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if m, ok := h.machines[spec.Mark.ID]; ok {
		if m.Mark == nil {
			return true, drivers.ErrForeign
		}
		return true, nil
	}
	if h.maintenance.Load() {
		return false, drivers.ErrMaintenance
	}
	im, ok := h.images[spec.Image.ID]
	if !ok {
		return false, fmt.Errorf("image %.12s: %w", spec.Image.ID, drivers.ErrNotFound)
	}
	spec.Image = im
	if err := drivers.Buildable(&spec, h.describe().Features); err != nil {
		return false, err
	}
	return false, h.hasNetworks(spec.Cards...)
}

func (h *Hypervisor) makeDisk(id fleet.InstanceID, gib int64) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.full {
		return drivers.ErrOutOfSpace
	}
	if err := h.store.save(disksDir, id.String(), disk{ID: id, GiB: gib}); err != nil {
		return err
	}
	h.disks[id] = gib
	return nil
}

func (h *Hypervisor) define(spec drivers.Spec) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	contents, err := h.contentsOf(&spec)
	if err != nil {
		return err
	}
	m := &machine{
		ID: spec.Mark.ID, Name: spec.Mark.Name, Power: fleet.PowerStopped,
		Resources: spec.Resources, Mark: spec.Mark.Clone(), Devices: h.devicesOf(&spec), Firmware: spec.Firmware, Guest: spec.Guest,
		Contents: contents,
	}
	m.Resources.DiskGiB = m.disksGiB()
	if err := h.hold(m); err != nil {
		return err
	}
	return h.put(m)
}

// put keeps the machine as it is now and tells of it; on an error it is as it
// was. The caller holds h.mu, and m is its own copy.
func (h *Hypervisor) put(m *machine) error {
	m.clock(h.machines[m.ID], time.Now())
	if err := h.keep(m); err != nil {
		return err
	}
	h.tell(m.ID)
	return nil
}

// keep is put for what no row shows.
func (h *Hypervisor) keep(m *machine) error {
	if err := h.store.save(machinesDir, m.ID.String(), m); err != nil {
		return err
	}
	h.machines[m.ID] = m
	h.stir()
	return nil
}

// stir wakes those who wait for what machines print. The caller holds h.mu.
func (h *Hypervisor) stir() {
	close(h.stirred)
	h.stirred = make(chan struct{})
}

// discard removes a machine and its disk.
func (h *Hypervisor) discard(id fleet.InstanceID) error {
	if err := h.undefine(id); err != nil {
		return err
	}
	return h.dropDisk(id)
}

func (h *Hypervisor) undefine(id fleet.InstanceID) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	m, ok := h.machines[id]
	if !ok {
		return nil
	}
	if err := h.store.remove(machinesDir, id.String()); err != nil {
		return err
	}
	delete(h.machines, id)
	if err := h.letGo(m); err != nil {
		return err
	}
	delete(h.seats, id)
	h.stir()
	h.tell(id)
	return nil
}

func (h *Hypervisor) dropDisk(id fleet.InstanceID) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.store.remove(disksDir, id.String()); err != nil {
		return err
	}
	delete(h.disks, id)
	return nil
}
