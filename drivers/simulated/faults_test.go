package simulated_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"grapevine/drivers"
	"grapevine/drivers/simulated"
	"grapevine/fleet"
)

// prepared returns a hypervisor that holds the image, and a machine to build.
func prepared(t *testing.T, config simulated.Config) (harness, *simulated.Driver, drivers.Spec) {
	t.Helper()
	h := newHarness(t, config)
	d := h.Connect()
	im, content := h.Image()
	check(t, d.ImportImage(t.Context(), im, bytes.NewReader(content)))
	spec := drivers.Spec{
		Mark:      drivers.Mark{ID: fleet.UUID{1}, Name: "web", Project: "p", Image: im.ID},
		Resources: fleet.Resources{VCPUs: 1, MemoryMiB: 64}, Image: im,
	}
	return h, d, spec
}

func TestMachinesOutliveTheProcess(t *testing.T) {
	config := simulated.Config{Dir: t.TempDir()}
	h, d, spec := prepared(t, config)
	check(t, d.Build(t.Context(), spec))
	check(t, d.Act(t.Context(), spec.Mark.ID, fleet.Start, drivers.ActOptions{}))
	foreign := h.Define(t, "by hand")
	h.Remove(t, h.Define(t, "gone"))

	again := newHarness(t, config)
	if diff := cmp.Diff(h.Machines(), again.Machines()); diff != "" {
		t.Errorf("machines differ after a restart:\n%s", diff)
	}
	if diff := cmp.Diff(h.Storage(t), again.Storage(t)); diff != "" {
		t.Errorf("storage differs after a restart:\n%s", diff)
	}
	if len(again.Machines()) != 2 || !slices.ContainsFunc(again.Machines(), func(m drivers.Machine) bool { return m.ID == foreign }) {
		t.Errorf("got %v", again.Machines())
	}
}

// TestBuildCutShortByDeathIsFinishedByTheNext leaves a build held at each
// step, as kill -9 would, and builds again in a "new process".
func TestBuildCutShortByDeathIsFinishedByTheNext(t *testing.T) {
	for step := simulated.BeforeDisk; step <= simulated.AfterDefine; step++ {
		config := simulated.Config{Dir: t.TempDir()}
		h, d, spec := prepared(t, config)
		gate := h.HoldNextBuild(step)
		died := make(chan error, 1)
		go func() { died <- d.Build(t.Context(), spec) }()
		<-gate.Reached()

		again := newHarness(t, config)
		check(t, again.Connect().Build(t.Context(), spec))
		if machines, disks := again.Machines(), again.Disks(); len(machines) != 1 || len(disks) != 1 {
			t.Errorf("step %d: %d machines, %d disks; want one of each", step, len(machines), len(disks))
		}
		gate.Release()
		<-died
	}
}

func TestFailedBuildLeavesNothingAtAnyStep(t *testing.T) {
	h, d, spec := prepared(t, simulated.Config{})
	before := h.Storage(t)
	for step := simulated.BeforeDisk; step <= simulated.AfterDefine; step++ {
		h.FailNextBuild(step)
		if err := d.Build(t.Context(), spec); err == nil {
			t.Errorf("step %d: the build did not fail", step)
		}
		if diff := cmp.Diff(before, h.Storage(t)); diff != "" || len(h.Machines()) != 0 {
			t.Errorf("step %d: left %v and\n%s", step, h.Machines(), diff)
		}
	}
	check(t, d.Build(t.Context(), spec))
}

func TestFullStorageIsOutOfSpace(t *testing.T) {
	h, d, spec := prepared(t, simulated.Config{})
	h.FillStorage(true)
	if err := d.Build(t.Context(), spec); !errors.Is(err, drivers.ErrOutOfSpace) {
		t.Errorf("build: got %v", err)
	}
	check(t, d.RemoveImage(t.Context(), spec.Image.ID))
	_, content := h.Image()
	if err := d.ImportImage(t.Context(), spec.Image, bytes.NewReader(content)); !errors.Is(err, drivers.ErrOutOfSpace) {
		t.Errorf("import: got %v", err)
	}
	h.FillStorage(false)
	check(t, d.ImportImage(t.Context(), spec.Image, bytes.NewReader(content)))
}

func TestStopTakesTheGuestsTimeOrTheGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		latency := simulated.Latency{Shutdown: 3 * time.Second}
		h, d, spec := prepared(t, simulated.Config{Latency: &latency})
		check(t, d.Build(t.Context(), spec))
		for _, tt := range []struct {
			ignore      bool
			grace, want time.Duration
		}{
			{false, 0, 0}, {false, time.Minute, 3 * time.Second}, {false, time.Second, time.Second}, {true, time.Minute, time.Minute},
		} {
			check(t, h.IgnoreShutdown(spec.Mark.ID, tt.ignore))
			check(t, d.Act(t.Context(), spec.Mark.ID, fleet.Start, drivers.ActOptions{}))
			began := time.Now()
			check(t, d.Act(t.Context(), spec.Mark.ID, fleet.Stop, drivers.ActOptions{Grace: tt.grace}))
			if took := time.Since(began); took != tt.want {
				t.Errorf("ignoring %v, grace %s: stop took %s, want %s", tt.ignore, tt.grace, took, tt.want)
			}
			if m := h.Machines()[0]; m.Power != fleet.PowerStopped {
				t.Errorf("the machine is %s", m.Power)
			}
		}
	})
}

func TestCutEndsSlowCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, d, _ := prepared(t, simulated.Config{})
		h.SetLatency(simulated.Latency{Call: time.Hour})
		listed := make(chan error, 1)
		go func() { _, err := d.List(t.Context()); listed <- err }()
		synctest.Wait()
		began := time.Now()
		h.Hypervisor.Cut()
		if err := <-listed; !errors.Is(err, drivers.ErrUnavailable) || time.Since(began) != 0 {
			t.Errorf("got %v after %s, want ErrUnavailable at once", err, time.Since(began))
		}
	})
}

func TestLostEventsAreSilentAndCrashIsSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, d, spec := prepared(t, simulated.Config{})
		id := spec.Mark.ID
		check(t, d.Build(t.Context(), spec))
		check(t, h.Hypervisor.PowerOn(id))
		var events []drivers.Event
		go func() { _ = d.Watch(t.Context(), func(e drivers.Event) { events = append(events, e) }) }()
		time.Sleep(time.Second)
		h.LoseEvents(true)
		check(t, h.Crash(id))
		synctest.Wait()
		if diff := cmp.Diff([]drivers.Event{{}}, events); diff != "" {
			t.Errorf("events while they are lost:\n%s", diff)
		}
		if m, err := d.Inspect(t.Context(), id); err != nil || m.Power != fleet.PowerCrashed {
			t.Errorf("got %s, %v; want crashed", m.Power, err)
		}
		h.LoseEvents(false)
		check(t, d.Act(t.Context(), id, fleet.Start, drivers.ActOptions{}))
		synctest.Wait()
		if diff := cmp.Diff([]drivers.Event{{}, {ID: id}}, events); diff != "" {
			t.Errorf("events afterwards:\n%s", diff)
		}
		check(t, d.Close())
		synctest.Wait()
	})
}
