package cli

import (
	"net/http"
	"testing"

	"grapevine/fleet"
)

func TestExplainNamesTheHostAndEveryRefusal(t *testing.T) {
	n := newNode(t)
	n.answer("POST /v1/placements", http.StatusOK, fleet.Explanation{
		Chosen: id(0xa1), ChosenName: "kvm-1", Strategy: fleet.Pack, Coverage: fleet.Coverage{Heard: 3, Known: 3},
		Verdicts: []fleet.Verdict{
			{Host: id(0xa1), HostName: "kvm-1", Fits: true, Score: 0.75},
			{Host: id(0xb2), HostName: "xen-1", Refusals: []fleet.Refusal{{Detail: "it is cordoned"}, {Detail: "2 vCPUs asked, 0 free"}}},
		},
	})
	r := run(t, n.URL, "placement", "explain", "--flavor", "small", "--image", "tiny")
	r.wants(t, 0, "", "")
	golden(t, "placement-explain.golden", r.out)
	run(t, n.URL, "placement", "explain", "--image", "tiny").wants(t, 2, "", "--flavor is missing")
}

func TestWishesOfAHostReachTheNode(t *testing.T) {
	n := newNode(t)
	n.answer("POST /v1/placements", http.StatusOK, fleet.Explanation{})
	wish := []string{"placement", "explain", "--flavor", "small", "--image", "tiny"}
	run(t, n.URL, append(wish, "--host-label", "rack=r1", "--host-label", "spare=", "--trait", "uefi", "--zone", "north")...).wants(t, 0, "no host fits", "")
	run(t, n.URL, append(wish, "--host-label", "rack")...).wants(t, 2, "", `--host-label "rack" is not of the form key=value`)
	want := `{"name":"explain","flavor":"small","image":"tiny","zone":"north","host_labels":{"rack":"r1","spare":""},"traits":["uefi"]}`
	if got := n.requests(http.MethodPost); len(got) != 1 || got[0].Body != want {
		t.Errorf("got %v, want the body %s", got, want)
	}
}
