package esxi_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"grapevine/drivers"
	"grapevine/fleet"
)

// A task's progress is told as the host says it, and no other.
func TestTaskTellsHowFarItIs(t *testing.T) {
	l := newLab(t)
	l.begin(deeds()[0])
	heard := make(chan fleet.Progress, 100)
	ctx := drivers.Telling(t.Context(), func(p fleet.Progress) { heard <- p })
	hold := l.h.host.HoldTask("CopyVirtualDisk_Task")
	defer hold.Release()
	ended := make(chan error, 1)
	go func() { ended <- l.d.Build(ctx, l.spec) }()
	l.wait("the disk is being copied", hold.Reached())
	next := func() fleet.Progress {
		t.Helper()
		for {
			select {
			case p := <-heard:
				if p.Percent > 0 {
					return p
				}
			case <-time.After(time.Minute):
				t.Fatal("nothing was told within a minute")
			}
		}
	}
	var got []fleet.Progress
	for _, percent := range []int{30, 70} {
		hold.Progress(percent)
		got = append(got, next())
	}
	if diff := cmp.Diff([]fleet.Progress{{Percent: 30}, {Percent: 70}}, got); diff != "" {
		t.Errorf("told (-want +got)\n%s", diff)
	}
	hold.Release()
	l.must(<-ended)
	close(heard)
	for p := range heard {
		if p.Percent > 70 {
			t.Errorf("told %+v, which the host did not say", p)
		}
	}
}
