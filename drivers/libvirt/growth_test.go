package libvirt_test

import (
	"context"
	"regexp"
	"strconv"
	"testing"
	"time"

	"grapevine/drivers"
	"grapevine/drivers/libvirt"
	"grapevine/fleet"
)

// growth gives a guest processors and memory while it runs, and less again once
// it has stopped; the guest itself says what it has.
func (l *lab) growth(t *testing.T) {
	d := driver(t, l, nil)
	im, content := agentGuest("agent=none")
	s := spec(t, d, im, content, 0)
	s.Resources.MemoryMiB = 3072 // it has memory above 4 GiB from the start, and so room for more
	id := s.Mark.ID
	must(t, d.Build(t.Context(), s))
	must(t, d.Act(t.Context(), id, fleet.Start, drivers.ActOptions{}))
	first := guestHas(t, d, id, func(had size) bool { return had.vcpus == 1 })

	grown := fleet.Resources{VCPUs: 2, MemoryMiB: 3072 + 256}
	must(t, d.ResizableLive(t.Context(), id, grown))
	must(t, d.Resize(t.Context(), id, grown, s.Mark))
	guestHas(t, d, id, func(has size) bool { return has.vcpus == 2 && has.mib >= first.mib+200 })
	m, err := d.Inspect(t.Context(), id)
	must(t, err)
	if m.Resources != grown {
		t.Errorf("it shows %+v, want %+v", m.Resources, grown)
	}

	must(t, d.Act(t.Context(), id, fleet.Stop, drivers.ActOptions{}))
	lean := fleet.Resources{VCPUs: 1, MemoryMiB: 3072}
	must(t, d.Resize(t.Context(), id, lean, s.Mark))
	if m, err = d.Inspect(t.Context(), id); err != nil || m.Resources != lean {
		t.Errorf("stopped it shows %+v and %v, want %+v", m.Resources, err, lean)
	}
	must(t, d.Act(t.Context(), id, fleet.Start, drivers.ActOptions{}))
	guestHas(t, d, id, func(has size) bool { return has.vcpus == 1 && has.mib == first.mib })
}

// size is what a guest says it has.
type size struct{ vcpus, mib int }

var said = regexp.MustCompile(`guest-agent: (\d+) processors, (\d+) MiB`)

// guestHas waits until what the guest said last is right.
func guestHas(t *testing.T, d *libvirt.Driver, id fleet.InstanceID, right func(size) bool) size {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		log := console(t, d, id, 0)
		if all := said.FindAllStringSubmatch(log, -1); len(all) > 0 {
			last := all[len(all)-1]
			vcpus, _ := strconv.Atoi(last[1])
			mib, _ := strconv.Atoi(last[2])
			if has := (size{vcpus, mib}); right(has) {
				return has
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("the guest has not what it was given within %s: %s", patience, log)
		}
	}
}
