package cli

import (
	"net/http"
	"testing"

	"grapevine/fleet"
)

func TestVerifyFailsWithAnyFindingThatIsAFault(t *testing.T) {
	for _, c := range []struct {
		kind fleet.FindingType
		code int
	}{{fleet.FindGhost, 1}, {fleet.FindNotAsked, 1}, {fleet.FindUnchecked, 0}} {
		n := fleetNode(t)
		n.answer("GET /v1/verify", http.StatusOK, fleet.Verification{
			Items:    []fleet.Finding{{Type: c.kind, HostName: "kvm-1", What: "something is odd", Do: "look"}},
			Coverage: fleet.Coverage{Heard: 2, Known: 3},
		})
		run(t, n.URL, "verify").wants(t, c.code, "something is odd", "2 of 3 hosts looked through")
		run(t, n.URL, "verify", "-o", "json").wants(t, c.code, `"type": "`+string(c.kind)+`"`, "")
	}
	n := fleetNode(t)
	n.answer("GET /v1/hosts/{id}/verify", http.StatusOK, fleet.Verification{Items: []fleet.Finding{}, Coverage: fleet.Coverage{Heard: 1, Known: 1}})
	run(t, n.URL, "verify", "--host", "kvm-1").wants(t, 0, "all adds up", "1 of 1 host looked through, 0 findings")
}
