package cli

import (
	"net/http"
	"testing"
	"time"

	"grapevine/agent/audit"
	"grapevine/fleet"
)

// auditLog is the log of the fleet's first host.
func auditLog() []fleet.AuditEntry {
	claim := audit.Join(fleet.AuditLink{}, fleet.AuditEntry{
		At: today, Route: "PUT /v1/claims/{id}", Subject: "11111111-0000-4000-8000-000000000001", Code: fleet.AuditAccepted,
		Who: fleet.Asker{Role: "registry", Name: "reg-1", Address: "10.0.0.9:5"}, For: &fleet.Asker{Role: "operator", Name: "alice", Address: "192.0.2.1:7"},
	})
	knocked := audit.Join(claim.Link(), fleet.AuditEntry{At: today.Add(time.Minute), Route: "POST /v1/mesh/keys", Status: 403, Code: "forbidden", Who: fleet.Asker{Role: "agent", Name: "kvm-2"}, Times: 9})
	return []fleet.AuditEntry{claim, knocked}
}

func TestAuditListSaysWhoHadWhatChanged(t *testing.T) {
	log := auditLog()
	silent := map[string]any{"code": "host_unreachable", "detail": "it is silent"}
	n := fleetNode(t)
	n.answer("GET /v1/hosts/{id}/audit", http.StatusOK, fleet.AuditPage{Items: log, Head: log[1].Link(), Next: 1})
	got := run(t, n.URL, "audit", "list", "--host", "kvm-1", "--since", "1h", "--who", "alice")
	got.wants(t, 0, "operator alice from 192.0.2.1:7, by way of registry reg-1", "go on with --host kvm-1 --before 1")
	got.wants(t, 0, "forbidden      9", "")
	run(t, n.URL, "audit", "list", "--host", "kvm-1", "-o", "json").wants(t, 0, `"route": "PUT /v1/claims/{id}"`, "")
	run(t, n.URL, "audit", "list", "--before", "4").wants(t, 2, "", "--before needs --host")
	run(t, n.URL, "audit", "list", "--limit", "0").wants(t, 2, "", "use 1 to 1000")
	n = fleetNode(t)
	n.answer("GET /v1/hosts/{id}/audit", http.StatusConflict, silent)
	run(t, n.URL, "audit", "list").wants(t, 1, "nothing of this kind", "did not tell: it is silent")
}

func TestAuditVerifyFailsForALogThatIsNotWhatOthersHeard(t *testing.T) {
	log := auditLog()
	heads := fleet.AuditHeads{Items: []fleet.AuditHeard{{AuditLink: log[1].Link(), NodeName: "kvm-2"}}}
	changed := auditLog()
	changed[0].Who.Name = "mallory"
	for _, c := range []struct {
		status  int
		answer  any
		code    int
		out, at string
	}{
		{http.StatusOK, fleet.AuditPage{Items: log, Head: log[1].Link()}, 0, "whole", "the logs of 1 of 1 host checked, 0 faults"},
		{http.StatusOK, fleet.AuditPage{Items: changed, Head: log[1].Link()}, 1, "entry 1 was changed", "1 fault"},
		{http.StatusOK, fleet.AuditPage{Items: log[:1], Head: log[0].Link()}, 1, "node kvm-2 heard of entry 2: it was cut back", "1 fault"},
		{http.StatusOK, fleet.AuditPage{}, 1, "node kvm-2 heard of entry 2", "1 fault"},
		{http.StatusConflict, map[string]any{"code": "host_unreachable", "detail": "it is silent"}, 1, "not checked: it is silent", "the logs of 0 of 1 host checked"},
	} {
		n := fleetNode(t)
		n.answer("GET /v1/hosts/{id}/audit/heads", http.StatusOK, heads)
		n.answer("GET /v1/hosts/{id}/audit", c.status, c.answer)
		run(t, n.URL, "audit", "verify", "--host", "kvm-1").wants(t, c.code, c.out, c.at)
	}
	n := fleetNode(t)
	n.answer("GET /v1/hosts/{id}/audit/heads", http.StatusOK, heads)
	n.answer("GET /v1/hosts/{id}/audit", http.StatusOK, fleet.AuditPage{})
	run(t, n.URL, "audit", "verify", "--host", "kvm-1", "-o", "json").wants(t, 1, `"faults": [`, "1 fault")
}
