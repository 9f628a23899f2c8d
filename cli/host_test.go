package cli

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"grapevine/fleet"
)

func TestHostTableIsMadeForEyes(t *testing.T) {
	r := run(t, fleetNode(t).URL, "host", "list")
	r.wants(t, 0, "", "2 of 3 hosts can be heard")
	golden(t, "host-list.golden", r.out)
}

func TestHostShowIsFoundByNameIDAndPrefix(t *testing.T) {
	n := fleetNode(t)
	for _, ref := range []string{"kvm-1", id(0xa1).String(), "000000a1"} {
		r := run(t, n.URL, "host", "show", ref)
		r.wants(t, 0, "", "")
		golden(t, "host-show.golden", r.out)
	}
}

func TestHostJSONIsTheAPIs(t *testing.T) {
	r := run(t, fleetNode(t).URL, "host", "list", "-o", "json")
	var got fleet.List[fleet.Host]
	if err := json.Unmarshal([]byte(r.out), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(theHosts(), got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestHostPrefixThatFitsSeveralListsThem(t *testing.T) {
	r := run(t, fleetNode(t).URL, "host", "show", "0000")
	r.wants(t, 1, "", `"0000" may mean any of 3 hosts; give the id of one`)
	r.wants(t, 1, "", "\n  "+id(0xb2).String()+"  xen-1  in zone north\n")
}

func TestUnknownHostIsOneSentence(t *testing.T) {
	run(t, fleetNode(t).URL, "host", "show", "nowhere").
		wants(t, 1, "", "grapevine: no host has the name or id \"nowhere\"; list them with: grapevine host list\n")
}

func TestCordonGoesToTheHostAndSaysItsState(t *testing.T) {
	n := fleetNode(t)
	host := theHosts().Items[0]
	host.State = fleet.HostCordoned
	n.answer("POST /v1/hosts/{id}/cordon", http.StatusOK, host)
	run(t, n.URL, "host", "cordon", "kvm-1").wants(t, 0, "host kvm-1 is cordoned\n", "")
	got := n.requests(http.MethodPost)
	if len(got) != 1 || got[0].URI != "/v1/hosts/"+id(0xa1).String()+"/cordon" {
		t.Errorf("got %v, want one cordon of kvm-1", got)
	}
}

func TestEachHostIsTriedAlsoAfterOneFailed(t *testing.T) {
	n := fleetNode(t)
	n.answer("POST /v1/hosts/{id}/uncordon", http.StatusOK, theHosts().Items[0])
	run(t, n.URL, "host", "uncordon", "nowhere", "kvm-1").wants(t, 1, "host kvm-1 is ok\n", "grapevine: nowhere: no host has")
}

func TestFreshShowAsksTheHostItself(t *testing.T) {
	n := fleetNode(t)
	run(t, n.URL, "host", "show", "kvm-1", "--fresh").wants(t, 0, "kvm-1", "")
	run(t, n.URL, "instance", "show", "web", "--fresh").wants(t, 0, "web", "")
	var fresh []string
	for _, r := range n.requests(http.MethodGet) {
		if strings.HasSuffix(r.URI, "?fresh=required") {
			fresh = append(fresh, r.URI)
		}
	}
	if len(fresh) != 2 || !strings.HasPrefix(fresh[0], "/v1/hosts/") || !strings.HasPrefix(fresh[1], "/v1/instances/") {
		t.Errorf("got %v, want a read of the host and one of the instance with fresh=required", fresh)
	}
}

func TestHostFiltersReachTheNode(t *testing.T) {
	n := fleetNode(t)
	run(t, n.URL, "host", "list", "--label", "rack=r12", "--label", "spare=").wants(t, 0, "rack=r12 tier=gold", "")
	run(t, n.URL, "host", "list", "--label", "rack").wants(t, 2, "", `--label "rack" is not of the form key=value`)
	if got := n.requests(http.MethodGet); len(got) != 1 || got[0].URI != "/v1/hosts?label=rack%3Dr12&label=spare%3D" && got[0].URI != "/v1/hosts?label=spare%3D&label=rack%3Dr12" {
		t.Errorf("got %v, want one list with both labels", got)
	}
}
