package cli

import (
	"net/http"
	"strings"
	"testing"

	"grapevine/fleet"
)

// lostOwner is a node that cannot reach the hosts of its instances.
func lostOwner(t *testing.T) (n *node, instance string) {
	t.Helper()
	n = fleetNode(t)
	n.answer("DELETE /v1/instances/{id}", http.StatusServiceUnavailable, map[string]any{
		"code": fleet.CodeHostUnreachable, "status": http.StatusServiceUnavailable, "detail": "host kvm-1 is unreachable",
	})
	n.answer("POST /v1/instances/{id}/delete-intent", http.StatusOK, fleet.Decided{Record: theRecord(), Holders: []fleet.HostID{id(0xa1)}})
	return n, theInstances().Items[0].ID.String()
}

func TestInstanceOfALostHostIsDeletedWhenThatIsBack(t *testing.T) {
	n, instance := lostOwner(t)
	run(t, n.URL, "instance", "delete", instance).wants(t, 1, "", "host kvm-1 is unreachable")
	run(t, n.URL, "instance", "delete", instance, "--when-back").wants(t, 2, "", "reason")
	if got := n.requests(http.MethodPost); len(got) != 0 {
		t.Fatalf("asked for more: %v", got)
	}
	run(t, n.URL, "instance", "delete", instance, "--when-back", "--reason", "old").wants(t, 0, "when it is back: recorded, and held by 1 agent\n", "")
	got := n.requests(http.MethodPost)
	if len(got) != 1 || got[0].URI != "/v1/instances/"+instance+"/delete-intent" || !strings.Contains(got[0].Body, `"reason":"old"`) {
		t.Errorf("got %v", got)
	}
}
