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
