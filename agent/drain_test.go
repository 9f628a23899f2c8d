package agent_test

import (
	"testing"
	"time"

	"grapevine/api/client"
	"grapevine/drivers/simulated"
	"grapevine/fleet"
)

// inhabit builds instances 1 to n of 128 MiB, which run.
func (s *site) inhabit(n byte) []fleet.InstanceID {
	s.t.Helper()
	var ids []fleet.InstanceID
	for i := byte(1); i <= n; i++ {
		p := proposal(i, 128)
		if _, err := s.Claim(s.t.Context(), p); err != nil {
			s.t.Fatal(err)
		}
		s.running(p.ID)
		ids = append(ids, p.ID)
	}
	return ids
}

// act does something to an instance and waits until it is done.
func (s *site) act(id fleet.InstanceID, action fleet.InstanceAction) {
	s.t.Helper()
	accepted, err := s.ActInstance(s.t.Context(), id, action, client.ActOptions{Wait: patience})
	if err != nil || accepted.Instance.Task != fleet.TaskNone {
		s.t.Fatalf("%s: %+v, %v", action, accepted, err)
	}
}

// drained waits until the host's drain is as wanted.
func (s *site) drained(what string, wanted func(map[fleet.InstanceID]fleet.DrainMachine, fleet.Drain) bool) fleet.Drain {
	s.t.Helper()
	var d fleet.Drain
	s.until(what, func() bool {
		var err error
		if d, err = s.PlanDrain(s.t.Context(), s.id, fleet.DrainRequest{}); err != nil {
			s.t.Fatal(err)
		}
		return wanted(byInstance(d), d)
	})
	return d
}

func byInstance(d fleet.Drain) map[fleet.InstanceID]fleet.DrainMachine {
	out := map[fleet.InstanceID]fleet.DrainMachine{}
	for _, m := range d.Machines {
		out[m.Instance] = m
	}
	return out
}

func stopWithin(d time.Duration) fleet.DrainRequest {
	return fleet.DrainRequest{Mode: fleet.DrainStop, DeadlineMS: d.Milliseconds()}
}

func TestDrainStopsWhatItMayAndUndrainRestoresThatAlone(t *testing.T) {
	s := newSite(t, nil)
	ids := s.inhabit(4)
	well, deaf, off, frozen := ids[0], ids[1], ids[2], ids[3]
	s.act(off, fleet.Stop)
	s.act(frozen, fleet.Pause)
	if err := s.hypervisor.IgnoreShutdown(deaf, true); err != nil {
		t.Fatal(err)
	}
	foreign, err := s.hypervisor.Define(simulated.Foreign{Name: "legacy", Running: true, Resources: fleet.Resources{VCPUs: 1, MemoryMiB: 64}})
	if err != nil {
		t.Fatal(err)
	}
	s.until("the foreign machine is seen", func() bool { return s.row(foreign) != nil })

	plan, err := s.PlanDrain(t.Context(), s.id, stopWithin(200*time.Millisecond))
	if err != nil || plan.Phase != fleet.DrainPlanned || plan.Remaining != 4 {
		t.Fatalf("plan: got %+v, %v; want four machines that are up", plan, err)
	}
	planned := byInstance(plan)
	for id, want := range map[fleet.InstanceID]fleet.DrainStep{
		well: fleet.DrainShutDown, deaf: fleet.DrainShutDown, off: fleet.DrainNothing, frozen: fleet.DrainRemains, foreign: fleet.DrainRemains,
	} {
		if got := planned[id]; got.Step != want || got.Step == fleet.DrainRemains && got.Detail == "" {
			t.Errorf("plan: got %+v, want step %s", got, want)
		}
	}
	if state := s.host().State; state != fleet.HostOK || s.row(well).Power != fleet.PowerRunning {
		t.Errorf("the plan made the host %s", state)
	}

	drain, err := s.StartDrain(t.Context(), s.id, stopWithin(200*time.Millisecond))
	if err != nil || drain.Phase != fleet.DrainGoing {
		t.Fatalf("got %+v, %v; want it draining", drain, err)
	}
	if host, err := s.AtLeast(drain.Version).Host(t.Context(), s.id); err != nil || host.State != fleet.HostDraining {
		t.Errorf("got %s, %v at the version of the answer; want draining", host.State, err)
	}
	_, err = s.Claim(t.Context(), proposal(9, 128))
	code(t, err, fleet.CodeRefused)
	drain = s.drained("something has come of both", func(m map[fleet.InstanceID]fleet.DrainMachine, _ fleet.Drain) bool {
		return m[well].Outcome != "" && m[deaf].Outcome != ""
	})
	got := byInstance(drain)
	if m := got[well]; m.Outcome != "stopped" || m.Remains {
		t.Errorf("the one that shuts down: got %+v", m)
	}
	if m := got[deaf]; m.Outcome != "left" || !m.Remains || m.Power != fleet.PowerRunning || m.Detail == "" {
		t.Errorf("the one that does not: got %+v; want it left, running", m)
	}
	if got[foreign].Power != fleet.PowerRunning || got[frozen].Power != fleet.PowerPaused || drain.Remaining != 3 {
		t.Errorf("got %+v; want the foreign and the paused one as they were", drain)
	}
	_, err = s.ActInstance(t.Context(), well, fleet.Start, client.ActOptions{})
	code(t, err, fleet.CodeRefused)
	_, err = s.ActHost(t.Context(), s.id, fleet.Uncordon)
	code(t, err, fleet.CodeConflict)

	if _, err := s.Undrain(t.Context(), s.id); err != nil {
		t.Fatal(err)
	}
	s.drained("it is restored", func(_ map[fleet.InstanceID]fleet.DrainMachine, d fleet.Drain) bool {
		return d.Phase == fleet.DrainRestored
	})
	s.running(well)
	if row := s.row(off); row.Power != fleet.PowerStopped {
		t.Errorf("the one that somebody else had stopped is %s", row.Power)
	}
	if state := s.host().State; state != fleet.HostOK {
		t.Errorf("the host is %s after undrain", state)
	}
	_, err = s.Undrain(t.Context(), s.id)
	code(t, err, fleet.CodeConflict)
}

func TestForcedDrainSwitchesOffWhoDoesNotShutDown(t *testing.T) {
	s := newSite(t, nil)
	ids := s.inhabit(2)
	if err := s.hypervisor.IgnoreShutdown(ids[0], true); err != nil {
		t.Fatal(err)
	}
	s.act(ids[1], fleet.Pause)
	req := stopWithin(100 * time.Millisecond)
	req.Force = true
	if _, err := s.StartDrain(t.Context(), s.id, req); err != nil {
		t.Fatal(err)
	}
	s.drained("no machine remains", func(_ map[fleet.InstanceID]fleet.DrainMachine, d fleet.Drain) bool {
		return d.Remaining == 0 && d.Phase == fleet.DrainDone
	})
}

func TestDrainGoesOnAfterTheAgentWasKilled(t *testing.T) {
	s := newSite(t, nil)
	ids := s.inhabit(3)
	for _, id := range ids {
		if err := s.hypervisor.IgnoreShutdown(id, true); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.StartDrain(t.Context(), s.id, stopWithin(time.Hour)); err != nil {
		t.Fatal(err)
	}
	s.until("all are asked to shut down", func() bool {
		for _, id := range ids {
			if s.row(id).Task != fleet.TaskStopping {
				return false
			}
		}
		return true
	})
	s.stop()
	if err := s.hypervisor.PowerOff(ids[0]); err != nil { // it got there while nobody looked
		t.Fatal(err)
	}
	for _, id := range ids[1:] {
		if err := s.hypervisor.IgnoreShutdown(id, false); err != nil {
			t.Fatal(err)
		}
	}
	s.start()
	if state := s.host().State; state != fleet.HostDraining {
		t.Errorf("the host is %s after the restart", state)
	}
	s.drained("all have stopped", func(m map[fleet.InstanceID]fleet.DrainMachine, d fleet.Drain) bool {
		for _, id := range ids {
			if m[id].Outcome != "stopped" {
				return false
			}
		}
		return d.Phase == fleet.DrainDone
	})
	s.restart()
	if _, err := s.Undrain(t.Context(), s.id); err != nil {
		t.Fatal(err)
	}
	s.restart() // it may be anywhere in it
	s.drained("it is restored", func(_ map[fleet.InstanceID]fleet.DrainMachine, d fleet.Drain) bool {
		return d.Phase == fleet.DrainRestored
	})
	for _, id := range ids {
		s.running(id)
	}
}

func TestHostThatWaitsStopsNothing(t *testing.T) {
	s := newSite(t, nil)
	id := s.inhabit(1)[0]
	if _, err := s.StartDrain(t.Context(), s.id, fleet.DrainRequest{Mode: fleet.DrainWait}); err != nil {
		t.Fatal(err)
	}
	if d := s.drained("it waits", func(_ map[fleet.InstanceID]fleet.DrainMachine, d fleet.Drain) bool {
		return d.Phase == fleet.DrainGoing
	}); d.Remaining != 1 || d.Machines[0].Step != fleet.DrainWaits {
		t.Errorf("got %+v; want one machine that is waited for", d)
	}
	s.act(id, fleet.Stop)
	s.drained("none remains", func(_ map[fleet.InstanceID]fleet.DrainMachine, d fleet.Drain) bool { return d.Phase == fleet.DrainDone })
	if _, err := s.Undrain(t.Context(), s.id); err != nil {
		t.Fatal(err)
	}
	s.drained("it is restored", func(_ map[fleet.InstanceID]fleet.DrainMachine, d fleet.Drain) bool {
		return d.Phase == fleet.DrainRestored
	})
	if row := s.row(id); row.Power != fleet.PowerStopped {
		t.Errorf("got %s; the drain had not stopped it, and does not start it", row.Power)
	}
}
