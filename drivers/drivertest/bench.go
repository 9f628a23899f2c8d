package drivertest

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"grapevine/drivers"
	"grapevine/fleet"
)

// RunBenchmarks measures how long a listing takes, of 1,000 machines or of as
// many as the hypervisor holds cheaply, and how long it takes from a change on
// the hypervisor until the driver tells of it.
func RunBenchmarks(b *testing.B, h Harness) {
	b.Helper()
	facts := h.Facts().orDefault()
	d := h.Open(b)
	defer d.Close()
	b.Run("Event", func(b *testing.B) { benchmarkEvent(b, h, d) })
	n := min(1000, facts.Many)
	b.Run(fmt.Sprintf("List%d", n), func(b *testing.B) { benchmarkList(b, h, d, n) })
}

func benchmarkList(b *testing.B, h Harness, d drivers.Driver, n int) {
	b.Helper()
	for i := range n {
		id := h.Define(b, fmt.Sprintf("bench-%05d", i))
		defer h.Remove(b, id)
	}
	for b.Loop() {
		if list, err := d.List(b.Context()); err != nil || len(list) < n {
			b.Fatalf("listed %d of %d: %v", len(list), n, err)
		}
	}
}

func benchmarkEvent(b *testing.B, h Harness, d drivers.Driver) {
	b.Helper()
	ctx, cancel := context.WithCancel(b.Context())
	events := make(chan drivers.Event, 1<<16) // large enough that the driver never waits for us
	var watching sync.WaitGroup
	watching.Go(func() { _ = d.Watch(ctx, func(e drivers.Event) { events <- e }) })
	defer watching.Wait()
	defer cancel()
	<-events
	id := h.Define(b, "bench")
	defer h.Remove(b, id)
	await := func() {
		for e := range events {
			if e.ID == id {
				return
			}
		}
	}
	await()
	on := false
	for b.Loop() {
		for len(events) > 0 {
			<-events
		}
		if on = !on; on {
			h.PowerOn(b, id)
		} else {
			h.PowerOff(b, id)
		}
		await()
	}
	if m, err := d.Inspect(b.Context(), id); err == nil && m.Power == fleet.PowerRunning {
		h.PowerOff(b, id)
	}
}
