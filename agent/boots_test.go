package agent_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"grapevine/agent"
	"grapevine/api/client"
	"grapevine/drivers"
	"grapevine/drivers/simulated"
	"grapevine/fleet"
)

// starter keeps the order in which machines are started.
type starter struct {
	*simulated.Driver
	seen *started
}

type started struct {
	mu  sync.Mutex
	ids []fleet.InstanceID // guarded by mu
}

func (s *starter) Act(ctx context.Context, id fleet.InstanceID, action fleet.InstanceAction, opts drivers.ActOptions) error {
	if action == fleet.Start {
		s.seen.mu.Lock()
		s.seen.ids = append(s.seen.ids, id)
		s.seen.mu.Unlock()
	}
	return s.Driver.Act(ctx, id, action, opts)
}

func (s *started) take() []fleet.InstanceID {
	s.mu.Lock()
	defer s.mu.Unlock()
	ids := s.ids
	s.ids = nil
	return ids
}

// booting makes an instance that is to be brought up so.
func (s *site) booting(n byte, how fleet.Booting) fleet.InstanceID {
	s.t.Helper()
	p := proposal(n, 128)
	p.Booting = how
	s.claim(p)
	s.running(p.ID)
	return p.ID
}

// powerCycled stops the agent as a power cut of its host does, and brings both
// back.
func (s *site) powerCycled() {
	s.t.Helper()
	s.stop()
	if err := s.hypervisor.PowerCycle(); err != nil {
		s.t.Fatal(err)
	}
	s.start()
}

// rebooting is a site whose starts are counted, with its machines.
func rebooting(t *testing.T, every time.Duration) (*site, *started, map[string]fleet.InstanceID) {
	t.Helper()
	s := newSiteOn(t, simulated.Config{Hardware: "board-1", Resources: fleet.Resources{VCPUs: 16, MemoryMiB: 4096, DiskGiB: 100}},
		func(c *agent.Config) { c.AutostartEvery = every })
	seen := &started{}
	s.wrap = func(d *simulated.Driver) drivers.Driver { return &starter{d, seen} }
	s.restart()
	ids := map[string]fleet.InstanceID{
		"second": s.booting(1, fleet.Booting{StartOrder: 2}),
		"first":  s.booting(2, fleet.Booting{StartOrder: 1}),
		"never":  s.booting(3, fleet.Booting{Autostart: fleet.AutostartNever}),
		"last":   s.booting(4, fleet.Booting{}),
		"halted": s.booting(5, fleet.Booting{Autostart: fleet.AutostartAlways}),
	}
	if _, err := s.ActInstance(t.Context(), ids["halted"], fleet.Stop, client.ActOptions{Force: true, Wait: patience}); err != nil {
		t.Fatal(err)
	}
	seen.take()
	return s, seen, ids
}

// Proof 18: a host reboots, and its machines come back in order, once; none that
// is never to be started, and none that an operator stopped.
func TestProof18RebootedHostStartsItsMachinesInOrderOnce(t *testing.T) {
	s, seen, ids := rebooting(t, 0)
	s.powerCycled()
	s.running(ids["last"])
	if diff := cmp.Diff([]fleet.InstanceID{ids["first"], ids["second"], ids["last"]}, seen.take()); diff != "" {
		t.Errorf("started (-want +got):\n%s", diff)
	}
	s.until("the host is trusted", func() bool { return s.host().State == fleet.HostOK })
	if err := s.hypervisor.PowerOff(ids["first"]); err != nil {
		t.Fatal(err)
	}
	s.until("it is seen to be off", func() bool { return s.row(ids["first"]).Power == fleet.PowerStopped })
	s.restart()
	s.running(ids["last"])
	if again := seen.take(); len(again) != 0 {
		t.Errorf("started again: %v", again)
	}
	for _, name := range []string{"first", "never", "halted"} {
		if row := s.row(ids[name]); row.Power != fleet.PowerStopped {
			t.Errorf("%s is %s, want it left stopped", name, row.Power)
		}
	}
}

// An agent that dies between two starts goes on where it was, and starts nothing
// twice.
func TestStartsAfterARebootGoOnAfterTheAgentsOwn(t *testing.T) {
	s, seen, ids := rebooting(t, time.Hour)
	s.powerCycled()
	s.running(ids["first"])
	if got := seen.take(); len(got) != 1 {
		t.Fatalf("started %v, want the first and then an hour's pause", got)
	}
	s.cfg.AutostartEvery = 0
	s.restart()
	s.running(ids["last"])
	if diff := cmp.Diff([]fleet.InstanceID{ids["second"], ids["last"]}, seen.take()); diff != "" {
		t.Errorf("started (-want +got):\n%s", diff)
	}
}

// How an instance is brought up is in its own mark: an agent that has lost its
// journal still knows it, and starts nothing, for it does not know what ran.
func TestAutostartIsInTheMark(t *testing.T) {
	s := newSite(t, nil)
	id := s.booting(1, fleet.Booting{Autostart: fleet.AutostartAlways, StartOrder: 3})
	accepted, err := s.SetAutostart(t.Context(), id, fleet.Booting{Autostart: fleet.AutostartNever, StartOrder: 4}, patience)
	if err != nil {
		t.Fatal(err)
	}
	if row := accepted.Instance; row.Autostart != fleet.AutostartNever || row.StartOrder != 4 || row.Power != fleet.PowerRunning || row.Task != fleet.TaskNone {
		t.Errorf("got %+v", row)
	}
	_, err = s.SetAutostart(t.Context(), id, fleet.Booting{Autostart: "sometimes"}, 0)
	code(t, err, fleet.CodeInvalid)
	s.stop()
	s.cfg.DataDir = t.TempDir()
	if err := s.hypervisor.PowerCycle(); err != nil {
		t.Fatal(err)
	}
	s.start()
	if row := s.row(id); row.Autostart != fleet.AutostartNever || row.StartOrder != 4 || row.Power != fleet.PowerStopped {
		t.Errorf("after the journal was lost: %+v", row)
	}
}

// A machine that another host has meanwhile is not started after a reboot.
func TestRebootedHostDoesNotStartWhatAnotherHas(t *testing.T) {
	first, second, p := apart(t)
	second.stop()
	if err := second.hypervisor.PowerCycle(); err != nil {
		t.Fatal(err)
	}
	together(first, second)
	second.until("the host is held back", func() bool {
		host := second.host()
		return host.State == fleet.HostQuarantined && strings.Contains(host.StateReason, p.ID.String())
	})
	second.released("compared")
	second.until("nothing is left to start", func() bool {
		_, err := second.ActInstance(t.Context(), p.ID, fleet.Start, client.ActOptions{})
		return fleet.CodeOf(err) == fleet.CodeSuperseded
	})
	second.restart()
	if m := second.hypervisor.Machines(); m[0].Power != fleet.PowerStopped {
		t.Errorf("the copy at the host that was rebooted is %s", m[0].Power)
	}
	if m := first.hypervisor.Machines(); m[0].Power != fleet.PowerRunning {
		t.Errorf("the copy that counts is %s", m[0].Power)
	}
}
