package simulated

import (
	"context"
	"fmt"
	"time"

	"grapevine/drivers"
	"grapevine/fleet"
)

var _ drivers.Metered = (*Driver)(nil)

// What a simulated guest uses for each second that it runs.
const (
	simulatedLoad     = 0.25 // of each of its CPUs
	simulatedReads    = 64 << 10
	simulatedWrites   = 16 << 10
	simulatedReceives = 4 << 10
	simulatedSends    = 1 << 10
)

// Usage implements drivers.Metered: every guest is as busy as every other, in
// proportion to its size and to how long it ran.
func (d *Driver) Usage(ctx context.Context) (map[fleet.InstanceID]fleet.Usage, error) {
	_, done, err := d.begin(ctx)
	if err != nil {
		return nil, fmt.Errorf("read usage: %w", err)
	}
	defer done()
	d.h.mu.Lock()
	defer d.h.mu.Unlock()
	all := map[fleet.InstanceID]fleet.Usage{}
	for id, m := range d.h.machines {
		if m.Power.Awake() {
			all[id] = m.usage(time.Now())
		}
	}
	return all, nil
}

// usage is what the machine has used since it was powered on.
func (m *machine) usage(now time.Time) fleet.Usage {
	ran := m.ranUntil(now).Seconds()
	count := func(each float64) *int64 { return new(int64(ran * each)) }
	return fleet.Usage{
		CPUSeconds:    new(ran * simulatedLoad * float64(m.Resources.VCPUs)),
		MemoryBytes:   new(m.Resources.MemoryMiB << 20),
		DiskReadBytes: count(simulatedReads), DiskWrittenBytes: count(simulatedWrites),
		NetworkReceivedBytes: count(simulatedReceives), NetworkSentBytes: count(simulatedSends),
	}
}

// ranUntil is how long the machine has run since it was powered on, pauses left
// out.
func (m *machine) ranUntil(now time.Time) time.Duration {
	if m.Power != fleet.PowerRunning {
		return m.Ran
	}
	return m.Ran + now.Sub(m.RunsSince)
}

// clock keeps the account of how long the machine has run, when it was what was
// before and is now what it is.
func (m *machine) clock(before *machine, now time.Time) {
	started := before == nil || !before.Power.Awake() || before.starts != m.starts
	switch {
	case started:
		m.Ran, m.RunsSince = 0, now
	case before.Power != m.Power:
		m.Ran, m.RunsSince = before.ranUntil(now), now
	}
}
