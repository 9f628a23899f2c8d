package agent_test

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"grapevine/agent"
	"grapevine/agent/journal"
	"grapevine/agent/quarantine"
	"grapevine/api/client"
	"grapevine/fleet"
)

// away stops the agent and makes its journal that of a host which was put into
// quarantine; start brings it back.
func (s *site) away() {
	s.t.Helper()
	s.stop()
	j, err := journal.Open(filepath.Join(s.cfg.DataDir, "journal.db"))
	if err != nil {
		s.t.Fatal(err)
	}
	defer j.Close()
	if err := j.SetQuarantine(quarantine.State{Causes: []quarantine.Cause{{Kind: quarantine.Absent, Detail: "it was away"}}}); err != nil {
		s.t.Fatal(err)
	}
}

// apart returns two agents of one fleet that have never heard of each other, and
// an instance that both have.
func apart(t *testing.T) (first, second *site, p fleet.Proposal) {
	t.Helper()
	first, p = newSite(t, nil), proposal(1, 256)
	second = first.beside(2, "host-2")
	second.stop()
	first.restart() // nobody joins anybody now
	second.cfg.Join, second.cfg.DataDir = nil, t.TempDir()
	second.start()
	image, content := tiny()
	if _, err := second.ImportImage(t.Context(), fleet.HostID{}, image, bytes.NewReader(content)); err != nil {
		t.Fatal(err)
	}
	for _, s := range []*site{first, second} {
		s.claim(p)
		s.running(p.ID)
	}
	return first, second, p
}

// together lets the second join the first.
func together(first, second *site) {
	second.cfg.Join = []string{first.agent.GossipAddr()}
	second.start()
	first.until("they hear each other", func() bool {
		one, errOne := first.Hosts(first.t.Context())
		two, errTwo := second.Hosts(first.t.Context())
		return errOne == nil && errTwo == nil && one.Coverage.Heard == 2 && two.Coverage.Heard == 2
	})
}

func (s *site) released(reason string) fleet.Host {
	s.t.Helper()
	host, err := s.ReleaseHost(s.t.Context(), s.id, fleet.Decide{Reason: reason})
	if err != nil {
		s.t.Fatal(err)
	}
	return host
}

// A host in quarantine that can hear nobody waits, over restarts too, until an
// operator releases it; what runs there runs on.
func TestQuarantineOutlivesTheAgentAndEndsByAnOperator(t *testing.T) {
	s := newSite(t, func(c *agent.Config) { c.Join = []string{"127.0.0.1:1"} })
	p, q := proposal(1, 256), proposal(2, 256)
	for _, p := range []fleet.Proposal{p, q} {
		s.claim(p)
		s.running(p.ID)
	}
	if _, err := s.ActInstance(t.Context(), q.ID, fleet.Stop, client.ActOptions{Force: true, Wait: patience}); err != nil {
		t.Fatal(err)
	}
	s.away()
	s.start()
	for round := range 2 {
		if round > 0 {
			s.restart()
		}
		host := s.host()
		if host.State != fleet.HostQuarantined || !strings.Contains(host.StateReason, "it was away") || !strings.Contains(host.StateReason, "no other agent") {
			t.Fatalf("the host is %s (%s), want it quarantined", host.State, host.StateReason)
		}
		_, err := s.Claim(t.Context(), proposal(3, 256))
		code(t, err, fleet.CodeRefused)
		_, err = s.ActInstance(t.Context(), q.ID, fleet.Start, client.ActOptions{})
		code(t, err, fleet.CodeQuarantined)
		if row := s.row(p.ID); row.Power != fleet.PowerRunning || !row.SupersededBy.IsZero() {
			t.Errorf("the machine is %+v, want it to run on", row)
		}
	}
	if host := s.released("nobody else is left"); host.State != fleet.HostOK || host.StateReason != "" {
		t.Errorf("released, it is %s (%s)", host.State, host.StateReason)
	}
	s.restart()
	if host := s.host(); host.State != fleet.HostOK {
		t.Errorf("released and restarted, it is %s (%s)", host.State, host.StateReason)
	}
	if _, err := s.ActInstance(t.Context(), q.ID, fleet.Start, client.ActOptions{Wait: patience}); err != nil {
		t.Errorf("start after the release: %v", err)
	}
	_, err := s.ReleaseHost(t.Context(), s.id, fleet.Decide{Reason: "again"})
	code(t, err, fleet.CodeConflict)
}

// A host that comes back, and finds its instance at another one, leaves both
// copies as they are and does nothing to its own until a person has decided.
func TestProof06ReturningHostLeavesWhatAnotherHostHas(t *testing.T) {
	first, second, p := apart(t)
	second.away()
	together(first, second)
	second.until("its copy is superseded", func() bool {
		rows, err := second.AllInstances(t.Context(), fleet.InstanceQuery{Host: "host-2"})
		return err == nil && len(rows.Items) == 1 && rows.Items[0].SupersededBy == first.id && rows.Items[0].Power == fleet.PowerRunning
	})
	for range 2 {
		if host := second.host(); host.State != fleet.HostQuarantined || !strings.Contains(host.StateReason, p.ID.String()) {
			t.Errorf("the host is %s (%s), want it quarantined for its instance", host.State, host.StateReason)
		}
		second.restart()
	}
	second.released("seen")
	for verb, ask := range map[string]func() error{
		"stop": func() error {
			_, err := second.ActInstance(t.Context(), p.ID, fleet.Stop, client.ActOptions{})
			return err
		},
		"start": func() error {
			_, err := second.ActInstance(t.Context(), p.ID, fleet.Start, client.ActOptions{})
			return err
		},
		"delete": func() error { _, err := second.DeleteInstance(t.Context(), p.ID, 0); return err },
	} {
		if err := ask(); fleet.CodeOf(err) != fleet.CodeSuperseded || !strings.Contains(err.Error(), "host-1") {
			t.Errorf("%s: got %v, want it refused, naming the host whose copy counts", verb, err)
		}
	}
	for _, s := range []*site{first, second} {
		if m := s.hypervisor.Machines(); len(m) != 1 || m[0].Power != fleet.PowerRunning {
			t.Errorf("host %s has %+v, want the machine running", s.cfg.Name, m)
		}
	}
	first.until("the copy that counts is free", func() bool {
		row := first.row(p.ID)
		return row.Host == first.id && row.SupersededBy.IsZero() && row.Twin == second.id
	})
	if _, err := first.ActInstance(t.Context(), p.ID, fleet.Reboot, client.ActOptions{Force: true, Wait: patience}); err != nil {
		t.Errorf("the copy that counts: %v", err)
	}
	accepted, err := second.ActInstance(t.Context(), p.ID, fleet.Disown, client.ActOptions{})
	if err != nil {
		t.Fatal(err)
	}
	second.until("it is let go of", func() bool {
		op, err := second.Operation(t.Context(), accepted.Operation)
		return err == nil && op.State == fleet.OperationSucceeded
	})
}

// Two copies of one instance run, and neither host was away: nobody can say
// which counts, so both are left alone until somebody does.
func TestTwinsAreFrozenUntilSomebodySaysWhichCounts(t *testing.T) {
	first, second, p := apart(t)
	second.stop()
	together(first, second)
	for _, s := range []*site{first, second} {
		s.until("the twin is seen", func() bool {
			rows, err := s.AllInstances(t.Context(), fleet.InstanceQuery{})
			return err == nil && len(rows.Items) == 2 && rows.Items[0].Twin == second.id && rows.Items[1].Twin == first.id
		})
		_, err := s.ActInstance(t.Context(), p.ID, fleet.Stop, client.ActOptions{})
		code(t, err, fleet.CodeTwin)
		_, err = s.DeleteInstance(t.Context(), p.ID, 0)
		code(t, err, fleet.CodeTwin)
		if m := s.hypervisor.Machines(); m[0].Power != fleet.PowerRunning {
			t.Errorf("the copy at %s is %s", s.cfg.Name, m[0].Power)
		}
	}
	if _, err := second.ActInstance(t.Context(), p.ID, fleet.Adopt, client.ActOptions{}); err != nil {
		t.Fatal(err)
	}
	second.until("the copy that was adopted counts", func() bool {
		row := second.row(p.ID)
		return row.Host == second.id && row.Generation == 2 && row.Task == fleet.TaskNone
	})
	first.until("the other copy is superseded", func() bool {
		_, err := first.ActInstance(t.Context(), p.ID, fleet.Stop, client.ActOptions{})
		return fleet.CodeOf(err) == fleet.CodeSuperseded
	})
	if err := first.hypervisor.PowerOff(p.ID); err != nil {
		t.Fatal(err)
	}
	second.until("there is no twin any more", func() bool { return second.row(p.ID).Twin.IsZero() })
	if _, err := second.ActInstance(t.Context(), p.ID, fleet.Stop, client.ActOptions{Force: true, Wait: patience}); err != nil {
		t.Errorf("stop of the copy that counts: %v", err)
	}
}
