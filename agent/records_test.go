package agent_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"grapevine/agent/journal"
	"grapevine/agent/records"
	"grapevine/api/client"
	"grapevine/fleet"
	"grapevine/identity"
)

// fleetOfFour is a site with three more agents, all of which see one another;
// the last has left the mesh again, and so cannot be heard. Its agent can be
// started once more.
func fleetOfFour(t *testing.T) (s, second, third, lost *site) {
	t.Helper()
	s = newSite(t, nil)
	second, third, lost = s.beside(2, "host-2"), s.beside(3, "host-3"), s.beside(4, "host-4")
	for _, at := range []*site{s, second, third, lost} {
		at.until("all hosts are heard", func() bool {
			hosts, err := at.Hosts(t.Context())
			return err == nil && hosts.Coverage == fleet.Coverage{Heard: 4, Known: 4}
		})
	}
	lost.stop()
	for _, at := range []*site{s, second, third} {
		at.unheard(lost.id)
	}
	return s, second, third, lost
}

// unheard waits until a host cannot be heard.
func (s *site) unheard(id fleet.HostID) {
	s.t.Helper()
	s.until("a host is lost", func() bool {
		h, err := s.Host(s.t.Context(), id)
		return err == nil && (h.Reachability == fleet.ReachLeft || h.Reachability == fleet.ReachUnreachable)
	})
}

// patiently asks for what several agents have to hold, and again while too few
// of them answered in time: the machine may be slow.
func patiently[T any](s *site, ask func() (T, error)) (got T, err error) {
	s.t.Helper()
	s.until("enough agents hold it", func() bool {
		got, err = ask()
		return fleet.CodeOf(err) != fleet.CodeTooFewHolders
	})
	return got, err
}

// asOperator is the site's agent as a person reaches it.
func (s *site) asOperator() *client.Client {
	s.t.Helper()
	c, err := client.New("https://"+s.agent.Addr(), client.Options{TLS: s.issue(identity.Operator, fleet.UUID{}).ClientTLS(s.id, "http/1.1")})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(c.Close)
	return c
}

// knows waits until the agent lists so many hosts.
func (s *site) knows(n int) {
	s.t.Helper()
	s.until(fmt.Sprintf("%s lists %d hosts", s.cfg.Name, n), func() bool {
		hosts, err := s.Hosts(s.t.Context())
		return err == nil && len(hosts.Items) == n && hosts.Coverage.Known == n
	})
}

func TestForgottenHostIsListedNowhereAlsoAfterRestarts(t *testing.T) {
	s, second, third, lost := fleetOfFour(t)
	if _, err := s.asOperator().DecideHost(t.Context(), second.id, fleet.Forget, fleet.Decide{Reason: "burnt"}); fleet.CodeOf(err) != fleet.CodeConflict {
		t.Errorf("a host that can be heard was forgotten: %v", err)
	}
	first, err := patiently(s, func() (fleet.Decided, error) {
		return s.asOperator().DecideHost(t.Context(), lost.id, fleet.Forget, fleet.Decide{Reason: "burnt"})
	})
	if err != nil {
		t.Fatal(err)
	}
	if r := first.Record; r.By != "operator test" || r.Why != "burnt" || r.Name != "host-4" || r.Acceptor != s.id || r.Covers.Epoch == 0 {
		t.Errorf("the record says %+v", r)
	}
	if len(first.Holders) != fleet.RecordHolders {
		t.Errorf("held by %v", first.Holders)
	}
	again, err := patiently(second, func() (fleet.Decided, error) {
		return second.asOperator().DecideHost(t.Context(), lost.id, fleet.Forget, fleet.Decide{Reason: "sold"})
	})
	if err != nil || again.Record != first.Record {
		t.Errorf("asked for again, of another agent: %+v, %v", again.Record, err)
	}
	for _, at := range []*site{s, second, third} {
		at.knows(3)
	}

	for _, at := range []*site{s, second, third} {
		at.cfg.GossipBind = at.agent.GossipAddr() // where the others look for it
		at.restart()
	}
	for _, at := range []*site{s, second, third} {
		at.knows(3)
		list, err := at.AllRecords(t.Context(), lost.id)
		if err != nil || len(list.Items) != 1 || list.Items[0].Record != first.Record || list.Items[0].Standing != fleet.RecordStands {
			t.Errorf("%s lists %+v, %v", at.cfg.Name, list.Items, err)
		}
	}

	lost.cfg.Join = []string{s.agent.GossipAddr()}
	lost.start()
	for _, at := range []*site{s, second, third, lost} {
		at.knows(4)
	}
}

// The loss of the acceptor and of one more holder loses nothing.
func TestRecordOutlivesItsAcceptor(t *testing.T) {
	s, second, third, lost := fleetOfFour(t)
	done, err := s.DecideHost(t.Context(), lost.id, fleet.DeclareDead, fleet.Decide{Reason: "burnt", By: "operator alice"})
	if err != nil {
		t.Fatal(err)
	}
	if want := "operator alice, by way of registry test"; done.Record.By != want {
		t.Errorf("by %q, want %q", done.Record.By, want)
	}
	s.stop()
	second.stop()
	third.cfg.Join = []string{}
	third.stop()
	if err := os.Remove(filepath.Join(third.cfg.DataDir, "fleet.saved")); err != nil { // what the others said
		t.Fatal(err)
	}
	third.start()
	third.until("the record is read from the disk", func() bool {
		list, err := third.AllRecords(t.Context(), lost.id)
		return err == nil && len(list.Items) == 1 && list.Items[0].Record == done.Record && slices.Equal(list.Items[0].Holders, []fleet.HostID{third.id})
	})
}

func TestTooFewHoldersAreSaidAndTheSameRequestGoesOn(t *testing.T) {
	s := newSite(t, nil)
	second, third := s.beside(2, "host-2"), s.beside(3, "host-3")
	for _, at := range []*site{s, second, third} {
		at.knows(3)
	}
	third.stop()
	s.unheard(third.id)
	second.shelve(func(j *journal.Journal, all []records.Held) error { return j.PutRecords(all...) })
	_, err := s.DecideHost(t.Context(), third.id, fleet.DeclareDead, fleet.Decide{Reason: "burnt"})
	code(t, err, fleet.CodeTooFewHolders)
	if err == nil || !strings.Contains(err.Error(), "held by 1 of the 2 agents") {
		t.Errorf("it says: %v", err)
	}
	second.shelve(func(j *journal.Journal, all []records.Held) error {
		ids := make([]fleet.RecordID, len(all))
		for i := range all {
			ids[i] = all[i].ID
		}
		return j.DropRecords(ids...)
	})
	done, err := s.DecideHost(t.Context(), third.id, fleet.DeclareDead, fleet.Decide{Reason: "burnt"})
	if err != nil || !slices.Equal(done.Holders, []fleet.HostID{s.id, second.id}) {
		t.Errorf("sent again: %+v, %v", done, err)
	}
	list, err := second.AllRecords(t.Context(), third.id)
	if err != nil || len(list.Items) != 1 {
		t.Errorf("%d records, %v", len(list.Items), err)
	}
}

// shelve does something to the journal of a site between two lives of its agent,
// with as many records as one agent holds.
func (s *site) shelve(do func(*journal.Journal, []records.Held) error) {
	s.t.Helper()
	s.stop()
	j, err := journal.Open(filepath.Join(s.cfg.DataDir, "journal.db"))
	if err != nil {
		s.t.Fatal(err)
	}
	all := make([]records.Held, fleet.MaxRecords)
	for i := range all {
		host := fleet.UUID{0xdd, byte(i >> 8), byte(i)}
		r := fleet.Record{
			Kind: fleet.DeclareDead, Subject: host, Covers: fleet.Version{Host: host, Epoch: 1},
			By: "operator", Why: "burnt", AcceptedAt: time.UnixMilli(1).UTC(), Acceptor: s.id,
		}
		r.ID = fleet.NameRecord(&r)
		all[i].Record = r
	}
	if err := errors.Join(do(j, all), j.Close()); err != nil {
		s.t.Fatal(err)
	}
	s.start()
	s.until("it is heard again", func() bool {
		hosts, err := s.Hosts(s.t.Context())
		return err == nil && hosts.Coverage.Heard >= 2
	})
}

// What a host had that was declared dead may be made elsewhere under its id, and
// is of a higher generation there.
func TestMachineOfADeadHostIsMadeAnewElsewhere(t *testing.T) {
	s := newSite(t, nil)
	lost := s.beside(2, "host-2")
	image, content := tiny()
	if _, err := lost.ImportContent(t.Context(), lost.id, image, strings.NewReader(string(content))); err != nil {
		t.Fatal(err)
	}
	p := proposal(1, 512)
	if _, err := lost.Claim(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	lost.running(p.ID)
	s.until("the machine is seen", func() bool { row := s.row(p.ID); return row != nil && row.Generation == 1 })
	lost.stop()
	s.unheard(lost.id)
	_, err := s.Claim(t.Context(), p)
	code(t, err, fleet.CodeRefused)
	if _, err := s.DecideHost(t.Context(), lost.id, fleet.DeclareDead, fleet.Decide{Reason: "burnt"}); err != nil {
		t.Fatal(err)
	}
	if row := s.row(p.ID); row == nil || !row.HostDeclaredDead {
		t.Errorf("the machine of the dead host is shown as %+v", row)
	}
	p.Attempt = 2
	if _, err := s.Claim(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	if row := s.running(p.ID); row.Host != s.id || row.Generation != 2 {
		t.Errorf("it is made on %v with generation %d", row.Host, row.Generation)
	}
}

// The machine goes on while its agent cannot be heard; when it can again, the
// machine goes, once, and nothing of it comes back.
func TestProof11DeleteDuringAPartitionLeavesNoZombie(t *testing.T) {
	s := newSite(t, nil)
	cut := s.beside(2, "host-2")
	image, content := tiny()
	if _, err := cut.ImportContent(t.Context(), cut.id, image, strings.NewReader(string(content))); err != nil {
		t.Fatal(err)
	}
	meant, other := proposal(1, 512), proposal(2, 512)
	for _, p := range []fleet.Proposal{meant, other} {
		if _, err := cut.Claim(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		cut.running(p.ID)
	}
	s.until("the machines are seen", func() bool {
		row := s.row(meant.ID)
		return s.row(other.ID) != nil && row != nil && row.Power == fleet.PowerRunning && row.Task == fleet.TaskNone
	})
	if _, err := s.asOperator().IntendDelete(t.Context(), meant.ID, fleet.Decide{Reason: "old"}); fleet.CodeOf(err) != fleet.CodeConflict {
		t.Errorf("a host that can be heard is left to do it later: %v", err)
	}
	cut.stop()
	s.unheard(cut.id)
	first, err := patiently(s, func() (fleet.Decided, error) {
		return s.asOperator().IntendDelete(t.Context(), meant.ID, fleet.Decide{Reason: "old"})
	})
	if err != nil {
		t.Fatal(err)
	}
	again, err := patiently(s, func() (fleet.Decided, error) {
		return s.asOperator().IntendDelete(t.Context(), meant.ID, fleet.Decide{Reason: "older"})
	})
	if err != nil || again.Record != first.Record {
		t.Errorf("sent again: %+v, %v", again.Record, err)
	}
	if row := s.row(meant.ID); row == nil || row.DeleteIntent == nil || row.DeleteIntent.Why != "old" {
		t.Errorf("the machine is shown as %+v", row)
	}
	if row := s.row(other.ID); row == nil || row.DeleteIntent != nil {
		t.Errorf("the other machine is shown as %+v", row)
	}

	cut.cfg.Join = []string{s.agent.GossipAddr()}
	cut.start()
	for _, at := range []*site{s, cut} {
		at.until("the machine is gone", func() bool { return at.row(meant.ID) == nil })
	}
	s.until("the record is spent", func() bool {
		list, err := s.AllRecords(t.Context(), meant.ID)
		return err == nil && len(list.Items) == 1 && list.Items[0].Standing == fleet.RecordSpent
	})
	cut.cfg.GossipBind = cut.agent.GossipAddr()
	cut.restart()
	cut.running(other.ID)
	s.knows(2)
	for _, at := range []*site{s, cut} {
		if row := at.row(meant.ID); row != nil {
			t.Errorf("%s shows it again: %+v", at.cfg.Name, row)
		}
	}
}
