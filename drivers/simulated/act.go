package simulated

import (
	"context"
	"fmt"
	"time"

	"grapevine/drivers"
	"grapevine/fleet"
)

// Act implements drivers.Driver.
func (d *Driver) Act(ctx context.Context, id fleet.InstanceID, action fleet.InstanceAction, opts drivers.ActOptions) error {
	if err := d.act(ctx, id, action, opts); err != nil {
		return fmt.Errorf("%s machine %s: %w", action, id, err)
	}
	return nil
}

func (d *Driver) act(ctx context.Context, id fleet.InstanceID, action fleet.InstanceAction, opts drivers.ActOptions) error {
	c, done, err := d.begin(ctx)
	if err != nil {
		return err
	}
	defer done()
	m, err := d.h.managed(id)
	if err != nil {
		return err
	}
	wait, err := d.h.plan(m, action, opts)
	if err != nil {
		return err
	}
	if err := c.sleep(ctx, wait); err != nil {
		return err
	}
	return d.h.change(id, func(m *machine) error { return apply(m, action, time.Now()) })
}

// plan returns how long the action takes on the machine as it is, or why it
// cannot be done.
func (h *Hypervisor) plan(m machine, action fleet.InstanceAction, opts drivers.ActOptions) (time.Duration, error) {
	h.mu.Lock()
	latency := h.latency
	h.mu.Unlock()
	down := time.Duration(0) // the guest's own way down, where it has time for one
	if m.Power == fleet.PowerRunning && opts.Grace > 0 {
		down = min(latency.Shutdown, opts.Grace)
		if m.IgnoresShutdown {
			down = opts.Grace
		}
	}
	switch action {
	case fleet.Start:
		if h.maintenance.Load() && m.Power != fleet.PowerRunning {
			return 0, drivers.ErrMaintenance
		}
		return latency.Boot, nil
	case fleet.Stop:
		return down, nil
	case fleet.Reboot:
		return down + latency.Boot, nil
	case fleet.Pause, fleet.Resume:
		if h.config.Hypervisor == fleet.ESXi {
			return 0, drivers.ErrUnsupported
		}
		return 0, nil
	default:
		return 0, drivers.ErrUnsupported
	}
}

// apply changes the machine as the action does, at its end.
func apply(m *machine, action fleet.InstanceAction, now time.Time) error {
	was := m.Power
	up := was == fleet.PowerRunning
	switch {
	case action == fleet.Start && up:
	case action == fleet.Start && (was == fleet.PowerStopped || was == fleet.PowerCrashed):
		m.powerOn(now)
	case action == fleet.Stop:
		m.Power = fleet.PowerStopped
	case action == fleet.Reboot && up:
		m.boot(now)
	case action == fleet.Pause && was.Awake():
		m.Power = fleet.PowerPaused
	case action == fleet.Resume && was.Awake():
		m.Power = fleet.PowerRunning
	default:
		return fmt.Errorf("the machine is %s", was)
	}
	return nil
}

// managed returns a copy of a managed machine.
func (h *Hypervisor) managed(id fleet.InstanceID) (machine, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	m, ok := h.machines[id]
	switch {
	case !ok:
		return machine{}, drivers.ErrNotFound
	case m.Mark == nil:
		return machine{}, drivers.ErrForeign
	}
	return *m, nil
}

// change applies fn to a copy of the machine and keeps it when fn succeeds.
func (h *Hypervisor) change(id fleet.InstanceID, fn func(*machine) error) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	m, ok := h.machines[id]
	if !ok {
		return drivers.ErrNotFound
	}
	changed := *m
	if err := fn(&changed); err != nil {
		return err
	}
	return h.put(&changed)
}

// Delete implements drivers.Driver.
func (d *Driver) Delete(ctx context.Context, id fleet.InstanceID) error {
	c, done, err := d.begin(ctx)
	if err != nil {
		return fmt.Errorf("delete machine %s: %w", id, err)
	}
	defer done()
	release, err := c.claim(ctx, id)
	if err != nil {
		return fmt.Errorf("delete machine %s: %w", id, err)
	}
	defer release()
	if d.h.foreign(id) {
		return fmt.Errorf("delete machine %s: %w", id, drivers.ErrForeign)
	}
	if err := c.discard(ctx, id); err != nil {
		return fmt.Errorf("delete machine %s: %w", id, err)
	}
	return nil
}

// discard removes the machine first and then, as real hypervisors do, its disk.
func (c *call) discard(ctx context.Context, id fleet.InstanceID) error {
	if err := c.d.h.undefine(id); err != nil {
		return err
	}
	c.d.tell(Within)
	if err := c.ended(ctx); err != nil {
		return err
	}
	return c.d.h.dropDisk(id)
}

func (h *Hypervisor) foreign(id fleet.InstanceID) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	m, ok := h.machines[id]
	return ok && m.Mark == nil
}

// Adopt implements drivers.Driver.
func (d *Driver) Adopt(ctx context.Context, id fleet.InstanceID, mark drivers.Mark) error {
	_, done, err := d.begin(ctx)
	if err != nil {
		return fmt.Errorf("adopt machine %s: %w", id, err)
	}
	defer done()
	if mark.ID != id {
		return fmt.Errorf("adopt machine %s: the mark is that of machine %s", id, mark.ID)
	}
	err = d.h.change(id, func(m *machine) error {
		m.Mark = mark.Clone()
		return nil
	})
	if err != nil {
		return fmt.Errorf("adopt machine %s: %w", id, err)
	}
	return nil
}

// Disown implements drivers.Driver.
func (d *Driver) Disown(ctx context.Context, id fleet.InstanceID) error {
	_, done, err := d.begin(ctx)
	if err != nil {
		return fmt.Errorf("disown machine %s: %w", id, err)
	}
	defer done()
	err = d.h.change(id, func(m *machine) error {
		m.Mark = nil
		return nil
	})
	if err != nil {
		return fmt.Errorf("disown machine %s: %w", id, err)
	}
	return nil
}
