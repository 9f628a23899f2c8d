package drivertest

import (
	"errors"

	"grapevine/drivers"
	"grapevine/fleet"
)

// growsWhileItRuns: a machine that runs gets more processors and a larger disk,
// and more memory where it was built to take that; after a restart it has them
// still.
func growsWhileItRuns(k *kit) {
	mark := k.withDisk("grows")
	k.act(mark.ID, fleet.Start)
	m, err := k.d.Inspect(k.Context(), mark.ID)
	k.must(err)
	grown := m.Resources
	grown.VCPUs, grown.DiskGiB = grown.VCPUs+1, grown.DiskGiB+1
	mark.Flavor, mark.DiskGiB = "larger", grown.DiskGiB
	live := ability[drivers.LiveResizer](k)
	k.must(live.ResizableLive(k.Context(), mark.ID, grown))
	k.wantSize(mark.ID, m.Resources, *m.Mark) // asking changes nothing
	for range 2 {                             // one that was cut short is done again
		k.must(k.resize(mark.ID, grown, mark))
		k.wantPower(mark.ID, fleet.PowerRunning)
	}
	k.wantSize(mark.ID, grown, mark)

	more := grown
	more.MemoryMiB += 128
	takes := ability[drivers.LiveResizer](k).ResizableLive(k.Context(), mark.ID, more)
	err = k.resize(mark.ID, more, mark)
	switch {
	case takes == nil && err != nil:
		k.Errorf("more memory: got %v, want what was said it takes", err)
	case takes != nil && (!errors.Is(takes, drivers.ErrUnsupported) || !errors.Is(err, drivers.ErrUnsupported)):
		k.Errorf("more memory: got %v, and %v when asked; want ErrUnsupported of both", err, takes)
	case takes == nil:
		grown = more
	}
	k.wantSize(mark.ID, grown, mark)
	k.act(mark.ID, fleet.Stop)
	k.wantSize(mark.ID, grown, mark)
	k.act(mark.ID, fleet.Start)
	k.wantPower(mark.ID, fleet.PowerRunning)
	k.wantSize(mark.ID, grown, mark)
}

// runningGivesNothingBack: what a guest uses is not taken from it, and what a
// machine cannot take is refused before anything is done.
func runningGivesNothingBack(k *kit) {
	spec := k.spec("keeps")
	spec.Resources.VCPUs++
	k.must(k.d.Build(k.Context(), spec))
	mark := spec.Mark
	k.act(mark.ID, fleet.Start)
	m, err := k.d.Inspect(k.Context(), mark.ID)
	k.must(err)
	fewer, less, huge := m.Resources, m.Resources, m.Resources
	fewer.VCPUs, fewer.MemoryMiB = fewer.VCPUs-1, fewer.MemoryMiB+128
	less.VCPUs, less.MemoryMiB = less.VCPUs+1, less.MemoryMiB-16
	for what, size := range map[string]fleet.Resources{"fewer vCPUs": fewer, "less memory": less} {
		if err := ability[drivers.LiveResizer](k).ResizableLive(k.Context(), mark.ID, size); !errors.Is(err, drivers.ErrUnsupported) {
			k.Errorf("%s, asked: got %v, want ErrUnsupported", what, err)
		}
		if err := k.resize(mark.ID, size, mark); !errors.Is(err, drivers.ErrUnsupported) {
			k.Errorf("%s: got %v, want ErrUnsupported", what, err)
		}
	}
	huge.VCPUs = 1 << 10
	if err := ability[drivers.LiveResizer](k).ResizableLive(k.Context(), mark.ID, huge); err != nil && !errors.Is(err, drivers.ErrUnsupported) {
		k.Errorf("%d vCPUs, asked: got %v, want ErrUnsupported or nothing", huge.VCPUs, err)
	}
	k.wantSize(mark.ID, m.Resources, *m.Mark)
	k.act(mark.ID, fleet.Stop)
	k.must(k.resize(mark.ID, fleet.Resources{VCPUs: fewer.VCPUs, MemoryMiB: m.Resources.MemoryMiB, DiskGiB: m.Resources.DiskGiB}, mark))
	foreign := k.define("by-hand")
	if err := ability[drivers.LiveResizer](k).ResizableLive(k.Context(), foreign, huge); !errors.Is(err, drivers.ErrForeign) {
		k.Errorf("a foreign machine: got %v, want ErrForeign", err)
	}
	if err := ability[drivers.LiveResizer](k).ResizableLive(k.Context(), newID(), huge); !errors.Is(err, drivers.ErrNotFound) {
		k.Errorf("no machine: got %v, want ErrNotFound", err)
	}
}
