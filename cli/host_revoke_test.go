package cli

import (
	"net/http"
	"strings"
	"testing"

	"grapevine/fleet"
)

func TestHostIsRevokedForAReasonAndAfterAQuestion(t *testing.T) {
	n := withRecords(t)
	revoked := theRecord()
	revoked.Kind = fleet.RevokeHost
	n.answer("POST /v1/hosts/{id}/revoke", http.StatusOK, fleet.Decided{Record: revoked, Holders: []fleet.HostID{id(0xa1), id(0xb2)}})
	run(t, n.URL, "host", "revoke", "kvm-1").wants(t, 2, "", "--reason")
	run(t, n.URL, "host", "revoke", "kvm-1", "--reason", "stolen").wants(t, 2, "", "there is no terminal to ask on; give --yes")
	if got := n.requests(http.MethodPost); len(got) != 0 {
		t.Fatalf("asked already: %v", got)
	}
	run(t, n.URL, "host", "revoke", "kvm-1", "--why", "stolen", "--yes").wants(t, 0, "the certificates of kvm-1 are revoked, held by 2 agents\nnext: change the gossip key", "")
	got := n.requests(http.MethodPost)
	if len(got) != 1 || got[0].URI != "/v1/hosts/"+id(0xa1).String()+"/revoke" || !strings.Contains(got[0].Body, `"reason":"stolen"`) {
		t.Errorf("got %v", got)
	}
	// One that is not listed, as a registry, is meant by its id.
	run(t, n.URL, "host", "revoke", id(0xee).String(), "--reason", "stolen", "--yes", "-o", "json").wants(t, 0, `"kind": "revoke-host"`, "")
	if got := n.requests(http.MethodPost); len(got) != 2 || got[1].URI != "/v1/hosts/"+id(0xee).String()+"/revoke" {
		t.Errorf("got %v", got)
	}
	run(t, n.URL, "host", "revoke", "nowhere", "--reason", "stolen", "--yes").wants(t, 1, "", `no host has the name or id "nowhere"`)
}
