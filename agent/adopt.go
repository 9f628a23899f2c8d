package agent

import (
	"context"
	"fmt"
	"slices"

	"grapevine/agent/journal"
	"grapevine/drivers"
	"grapevine/fleet"
)

// adopt marks a foreign machine as managed; it goes on as it was.
func (a *Agent) adopt(ctx context.Context, op *journal.Operation) error {
	m, err := a.driver.Inspect(ctx, op.Instance)
	if err != nil {
		return fmt.Errorf("adopt: %w", err)
	}
	if op.Mark != nil {
		return a.prefer(ctx, op)
	}
	if m.Mark != nil {
		return nil
	}
	name := m.Name
	if fleet.CheckName("name", name) != nil {
		name = m.ID.String()
	}
	first, err := a.firstDiskGiB(ctx, &m)
	if err != nil {
		return fmt.Errorf("adopt: %w", err)
	}
	err = a.driver.Adopt(ctx, op.Instance, drivers.Mark{
		ID: m.ID, Name: name, Project: fleet.DefaultProject, DiskGiB: first,
		CreatedAt: op.StartedAt, Generation: 1,
	})
	if err != nil {
		return fmt.Errorf("adopt: %w", err)
	}
	return nil
}

// firstDiskGiB is the size of the machine's first disk; of all its disks where
// its host does not tell them apart.
func (a *Agent) firstDiskGiB(ctx context.Context, m *drivers.Machine) (int64, error) {
	keeper, err := a.deviceKeeper()
	if err != nil {
		return m.Resources.DiskGiB, nil
	}
	devices, err := keeper.Devices(ctx, m.ID)
	if err != nil {
		return 0, err
	}
	first := slices.IndexFunc(devices, func(d fleet.Device) bool { return d.Kind == fleet.DeviceDisk })
	if first < 0 || devices[first].SizeGiB == 0 {
		return m.Resources.DiskGiB, nil
	}
	return devices[first].SizeGiB, nil
}

// disown takes the mark off a machine; it goes on as it was, with its disks.
func (a *Agent) disown(ctx context.Context, op *journal.Operation) error {
	if err := a.driver.Disown(ctx, op.Instance); err != nil {
		return fmt.Errorf("disown: %w", err)
	}
	return nil
}
