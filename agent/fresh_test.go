package agent_test

import (
	"testing"
	"time"

	"grapevine/agent"
	"grapevine/drivers/simulated"
	"grapevine/fleet"
)

func TestFreshReadLooksAtTheHypervisor(t *testing.T) {
	s := newSite(t, func(c *agent.Config) { c.ListEvery = time.Hour })
	id := proposal(1, 128).ID
	if _, err := s.Claim(t.Context(), proposal(1, 128)); err != nil {
		t.Fatal(err)
	}
	s.running(id)
	s.hypervisor.LoseEvents(true)
	if err := s.hypervisor.PowerOff(id); err != nil {
		t.Fatal(err)
	}
	if row := s.row(id); row.Power != fleet.PowerRunning {
		t.Fatalf("got %s before anybody looked; the test shows nothing", row.Power)
	}
	row, err := s.FreshInstance(t.Context(), id)
	if err != nil || row.Power != fleet.PowerStopped || row.HostName != "host-1" {
		t.Errorf("got %+v, %v; want stopped, on host-1", row, err)
	}
	if row := s.row(id); row.Power != fleet.PowerStopped {
		t.Errorf("got %s afterwards; what was seen is published", row.Power)
	}
	if _, err := s.hypervisor.Define(simulated.Foreign{Name: "legacy", Resources: fleet.Resources{VCPUs: 1, MemoryMiB: 64}}); err != nil {
		t.Fatal(err)
	}
	if host, err := s.FreshHost(t.Context(), s.id); err != nil || host.Instances != 2 {
		t.Errorf("got %d instances, %v; want 2", host.Instances, err)
	}
	s.hypervisor.Cut()
	defer s.hypervisor.Restore()
	_, err = s.FreshInstance(t.Context(), id)
	code(t, err, fleet.CodeHypervisorUnreachable)
	_, err = s.FreshHost(t.Context(), s.id)
	code(t, err, fleet.CodeHypervisorUnreachable)
}

func TestAgentAnswersAtLeastTheVersionThatItGave(t *testing.T) {
	s := newSite(t, nil)
	accepted, err := s.Claim(t.Context(), proposal(1, 128))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.AtLeast(accepted.Version).Instance(t.Context(), accepted.Instance.ID); err != nil {
		t.Error(err)
	}
	future := accepted.Version
	future.Epoch++
	_, err = s.AtLeast(future).Instance(t.Context(), accepted.Instance.ID)
	code(t, err, fleet.CodeNotCurrent)
}
