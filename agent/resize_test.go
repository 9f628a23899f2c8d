package agent_test

import (
	"context"
	"strings"
	"sync"
	"testing"

	"grapevine/api/client"
	"grapevine/drivers"
	"grapevine/drivers/simulated"
	"grapevine/fleet"
)

// stopped makes an instance of 512 MiB that is stopped.
func (s *site) stopped() fleet.InstanceID {
	s.t.Helper()
	id := s.built()
	if _, err := s.ActInstance(s.t.Context(), id, fleet.Stop, client.ActOptions{Force: true, Wait: patience}); err != nil {
		s.t.Fatal(err)
	}
	return id
}

func size(flavor string, vcpus, memory, disk int64) fleet.Size {
	return fleet.Size{Flavor: flavor, Resources: fleet.Resources{VCPUs: vcpus, MemoryMiB: memory, DiskGiB: disk}}
}

func TestResizeGivesTheSizeAndAccountsForIt(t *testing.T) {
	s := newSite(t, nil)
	id := s.stopped()
	accepted, err := s.ResizeInstance(t.Context(), id, "small", patience)
	if err != nil {
		t.Fatal(err)
	}
	row := accepted.Instance
	if row.Task != fleet.TaskNone || row.Flavor != "small" || row.VCPUs != 1 || row.MemoryMiB != 2048 || row.DiskGiB != 1 {
		t.Errorf("its row is %+v, want it small, with the disk that it had", row)
	}
	if got := s.host().Capacity.MemoryMiB.Allocated; got != 2048 {
		t.Errorf("%d MiB are allocated, want 2048", got)
	}
	if _, err := s.SetSize(t.Context(), id, size("lean", 1, 256, 3)); err != nil {
		t.Fatal(err)
	}
	s.until("it is lean", func() bool {
		row := s.row(id)
		return row.Task == fleet.TaskNone && row.MemoryMiB == 256 && row.DiskGiB == 3
	})
}

// A first disk that was grown by itself is as large as it is, whatever its mark says.
func TestResizeGivesTheFirstDiskTheSizeOfTheFlavor(t *testing.T) {
	s := newSite(t, nil)
	id := s.stopped()
	for _, change := range []fleet.DeviceChange{
		{Verb: fleet.GrowDisk, Name: "disk-0", Device: fleet.AttachRequest{SizeGiB: 5}},
		{Verb: fleet.AttachDevice, Device: fleet.AttachRequest{Kind: fleet.DeviceDisk, SizeGiB: 2}},
	} {
		if _, err := s.ChangeDevice(t.Context(), id, change, patience); err != nil {
			t.Fatal(err)
		}
	}
	_, err := s.SetSize(t.Context(), id, size("lean", 1, 256, 4))
	code(t, err, fleet.CodeInvalid) // it does not shrink
	if _, err := s.SetSize(t.Context(), id, size("wide", 1, 256, 6)); err != nil {
		t.Fatal(err)
	}
	s.until("it has no task", func() bool { return s.row(id).Task == fleet.TaskNone })
	devices, err := s.Devices(t.Context(), id)
	if err != nil || devices.Items[0].SizeGiB != 6 || s.row(id).DiskGiB != 8 {
		t.Errorf("a first disk of 6 GiB was asked for beside one of 2: %+v, %v, %d GiB in all", devices.Items, err, s.row(id).DiskGiB)
	}
}

func TestResizeThatDoesNotFitIsRefusedAndBooksNothing(t *testing.T) {
	s := newSite(t, nil)
	id := s.stopped()
	for _, c := range []struct {
		name string
		size fleet.Size
		want fleet.Code
	}{
		{"more than the host has", size("huge", 1, 8192, 0), fleet.CodeRefused},
		{"no processors", size("odd", 0, 512, 0), fleet.CodeInvalid},
		{"no flavor's name", size("", 1, 512, 0), fleet.CodeInvalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := s.SetSize(t.Context(), id, c.size)
			code(t, err, c.want)
		})
	}
	_, err := s.ResizeInstance(t.Context(), id, "no such", 0)
	code(t, err, fleet.CodeUnknownFlavor)
	if got := s.host().Capacity.MemoryMiB.Allocated; got != 512 {
		t.Errorf("%d MiB are allocated after refusals, want 512", got)
	}

	s.change(id, fleet.TakeSnapshot, "one")
	_, err = s.SetSize(t.Context(), id, size("wide", 1, 512, 5))
	code(t, err, fleet.CodeConflict) // the disk has a snapshot
	s.change(id, fleet.DeleteSnapshot, "one")
	if _, err := s.ActInstance(t.Context(), id, fleet.Start, client.ActOptions{Wait: patience}); err != nil {
		t.Fatal(err)
	}
	for _, less := range []fleet.Size{size("lean", 1, 256, 0), size("lean", 1, 256, 3)} {
		_, err = s.SetSize(t.Context(), id, less)
		code(t, err, fleet.CodeConflict) // it runs, and gives nothing back
		if !strings.Contains(err.Error(), "stop it first") || strings.Contains(err.Error(), drivers.ErrUnsupported.Error()) {
			t.Errorf("got %v, want what to do", err)
		}
	}
	_, err = s.SetSize(t.Context(), id, size("huge", 1, 8192, 0))
	code(t, err, fleet.CodeRefused)
	if got := s.host().Capacity.MemoryMiB.Allocated; got != 512 {
		t.Errorf("%d MiB are allocated after refusals while it runs, want 512", got)
	}
}

func TestRunningInstanceGrowsAndStaysUp(t *testing.T) {
	s := newSite(t, nil)
	id := s.built()
	if _, err := s.ResizeInstance(t.Context(), id, "small", patience); err != nil {
		t.Fatal(err)
	}
	if row := s.row(id); row.Power != fleet.PowerRunning || row.Flavor != "small" || row.MemoryMiB != 2048 || row.Fault != "" {
		t.Errorf("its row is %+v, want it small and running", row)
	}
	if got := s.host().Capacity.MemoryMiB.Allocated; got != 2048 {
		t.Errorf("%d MiB are allocated, want 2048", got)
	}
	if host := s.host(); !host.HasTrait(string(drivers.FeatureResizeLive)) {
		t.Error("the host's traits do not say that it resizes what runs")
	}
}

func TestHostThatResizesOnlyStoppedMachinesSaysSo(t *testing.T) {
	s := newSiteOn(t, simulated.Config{Hypervisor: fleet.Xen, Hardware: "board-1", Resources: fleet.Resources{VCPUs: 4, MemoryMiB: 4096, DiskGiB: 100}}, nil)
	id := s.built()
	_, err := s.SetSize(t.Context(), id, size("large", 1, 1024, 0))
	code(t, err, fleet.CodeConflict)
	if host := s.host(); host.HasTrait(string(drivers.FeatureResizeLive)) {
		t.Error("the host's traits promise to resize what runs")
	}
}

func TestWhatIsBeingBuiltIsBusyAndNotNeverBuilt(t *testing.T) {
	s := newSite(t, nil)
	gate := s.hypervisor.HoldNextBuild(simulated.BeforeDefine)
	defer gate.Release()
	p := proposal(1, 512)
	if _, err := s.Claim(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	<-gate.Reached()
	_, err := s.SetSize(t.Context(), p.ID, size("tiny", 1, 512, 0))
	code(t, err, fleet.CodeBusy)
	_, err = s.ChangeSnapshot(t.Context(), p.ID, fleet.SnapshotChange{Verb: fleet.RevertSnapshot, Name: "one"}, 0)
	code(t, err, fleet.CodeBusy)
}

// held is a driver whose resizes wait until they are let go, the first time.
type held struct {
	*simulated.Driver
	once    sync.Once
	reached chan struct{}
}

func (d *held) Resize(ctx context.Context, id fleet.InstanceID, size fleet.Resources, mark drivers.Mark) error {
	first := false
	d.once.Do(func() { first = true })
	if !first {
		return d.Driver.Resize(ctx, id, size, mark)
	}
	close(d.reached)
	<-ctx.Done()
	return ctx.Err()
}

func TestResizeUnderWayIsAccountedForAndTakenUpAfterARestart(t *testing.T) {
	for name, start := range map[string]func(*site) fleet.InstanceID{"stopped": (*site).stopped, "running": (*site).built} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, nil)
			resizeCutShort(t, s, start(s))
		})
	}
}

func resizeCutShort(t *testing.T, s *site, id fleet.InstanceID) {
	t.Helper()
	slow := &held{reached: make(chan struct{})}
	s.wrap = func(d *simulated.Driver) drivers.Driver { slow.Driver = d; return slow }
	s.restart()
	if _, err := s.SetSize(t.Context(), id, size("large", 1, 3072, 0)); err != nil {
		t.Fatal(err)
	}
	<-slow.reached
	if row := s.row(id); row.Task != fleet.TaskResizing {
		t.Errorf("its task is %q, want resizing", row.Task)
	}
	if got := s.host().Capacity.MemoryMiB.Free; got != 1024 {
		t.Errorf("%d MiB are free while it grows, want 1024", got)
	}
	_, err := s.Claim(t.Context(), proposal(2, 2048))
	code(t, err, fleet.CodeRefused)
	s.restart()
	s.until("it is large", func() bool {
		row := s.row(id)
		return row != nil && row.Task == fleet.TaskNone && row.MemoryMiB == 3072 && row.Flavor == "large"
	})
	if got := s.host().Capacity.MemoryMiB.Allocated; got != 3072 {
		t.Errorf("%d MiB are allocated, want 3072", got)
	}
}
