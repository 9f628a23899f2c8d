package agent_test

import (
	"fmt"
	"strings"
	"testing"

	"grapevine/agent/audit"
	"grapevine/api/client"
	"grapevine/fleet"
	"grapevine/identity"
)

// audited reads the host's whole log, checks it, and returns its entries after one,
// each as a line.
func (s *site) audited(after uint64) (lines []string, head fleet.AuditLink) {
	s.t.Helper()
	var check *audit.Check
	_, head, err := s.WholeAudit(s.t.Context(), s.id, func(begin fleet.AuditLink, entries []fleet.AuditEntry) {
		if check == nil {
			check = audit.NewCheck(begin, nil)
		}
		check.Take(entries...)
		for _, e := range entries {
			if e.Number > after {
				lines = append(lines, fmt.Sprintf("%s %s by %s x%d of %d", e.Route, e.Code, e.Who.Role, e.Times, e.Of))
			}
		}
	})
	if err != nil {
		s.t.Fatal(err)
	}
	if faults := check.End(head); len(faults) > 0 {
		s.t.Fatalf("the log is not whole: %q", faults)
	}
	return lines, head
}

func TestAuditLogTellsOfWhatWasPromisedOnceAndOutlivesTheAgent(t *testing.T) {
	s := newSite(t, nil)
	_, begun := s.audited(0)
	ctx := fleet.OnBehalf(t.Context(), fleet.Asker{Role: "operator", Name: "alice"})
	p := proposal(1, 512)
	for range 2 { // the same request again promises nothing new
		if _, err := s.Claim(ctx, p); err != nil {
			t.Fatal(err)
		}
	}
	s.running(p.ID)
	if _, err := s.ActHost(ctx, s.id, fleet.Cordon); err != nil {
		t.Fatal(err)
	}
	_, err := s.ActInstance(ctx, fleet.InstanceID{9}, fleet.Start, client.ActOptions{})
	code(t, err, fleet.CodeNotFound)
	_, err = s.ReleaseHost(ctx, s.id, fleet.Decide{Reason: "it is not quarantined"})
	code(t, err, fleet.CodeConflict)

	as := s.issue(identity.Agent, fleet.UUID{7})
	thief, err := client.New("https://"+s.agent.Addr(), client.Options{TLS: as.ClientTLS(s.id, "http/1.1")})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		_, err := thief.DeleteInstance(t.Context(), p.ID, 0)
		code(t, err, fleet.CodeForbidden)
	}
	thief.Close()

	s.restart()
	got, head := s.audited(begun.Number)
	want := []string{
		"PUT /v1/claims/{id} accepted by registry x1 of 0",
		"POST /v1/hosts/{id}/cordon accepted by registry x1 of 0",
		"POST /v1/hosts/{id}/release begun by registry x1 of 0",
		fmt.Sprintf("POST /v1/hosts/{id}/release conflict by registry x1 of %d", begun.Number+3),
		"DELETE /v1/instances/{id} forbidden by agent x3 of 0",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("the log tells\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	page, err := s.Audit(t.Context(), s.id, fleet.AuditQuery{Who: "alice", Subject: p.ID.String()})
	if err != nil || len(page.Items) != 1 || page.Items[0].Operation == "" || page.Items[0].For.Name != "alice" || page.Items[0].Version.Host != s.id {
		t.Errorf("of alice's instance it tells %+v, %v", page.Items, err)
	}
	s.until("the row bears the head", func() bool { h := s.host(); return h.Audit != nil && *h.Audit == head })
}
