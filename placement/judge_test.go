package placement_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"grapevine/fleet"
	"grapevine/placement"
)

func TestJudgeRefusesWhatCannotBeHeard(t *testing.T) {
	for _, test := range []struct {
		reach fleet.Reachability
		want  []fleet.RefusalCode
	}{
		{fleet.ReachOK, nil},
		{fleet.ReachSuspect, []fleet.RefusalCode{fleet.RefuseUnreachable}},
		{fleet.ReachUnreachable, []fleet.RefusalCode{fleet.RefuseUnreachable}},
		{fleet.ReachLeft, []fleet.RefusalCode{fleet.RefuseUnreachable}},
		{"", []fleet.RefusalCode{fleet.RefuseUnreachable}},
		{"from-a-newer-release", []fleet.RefusalCode{fleet.RefuseUnreachable}},
	} {
		host := newHost(0, freeOf(10, 1000, 10))
		host.Reachability = test.reach
		if diff := cmp.Diff(test.want, codes(placement.Judge(&host, request(1, 1, 1)))); diff != "" {
			t.Errorf("reachability %q: refusals (-want +got):\n%s", test.reach, diff)
		}
	}
}

func TestJudgeSaysTheHypervisorIsSilentOnce(t *testing.T) {
	host := newHost(0, freeOf(10, 1000, 10))
	host.Reachability, host.HypervisorFault = fleet.ReachHypervisorUnreachable, "connection refused"
	want := []fleet.RefusalCode{fleet.RefuseHypervisorUnreachable}
	if diff := cmp.Diff(want, codes(placement.Judge(&host, request(1, 1, 1)))); diff != "" {
		t.Errorf("refusals (-want +got):\n%s", diff)
	}
}

func TestJudgeKeepsEveryOtherReasonOfAnUnreachableHost(t *testing.T) {
	host := newHost(0, freeOf(1, 1000, 10))
	host.Reachability, host.State = fleet.ReachUnreachable, fleet.HostCordoned
	want := []fleet.RefusalCode{fleet.RefuseUnreachable, fleet.RefuseCordoned, fleet.RefuseCapacity}
	if diff := cmp.Diff(want, codes(placement.Judge(&host, request(2, 1, 1)))); diff != "" {
		t.Errorf("refusals (-want +got):\n%s", diff)
	}
}

func codes(refusals []fleet.Refusal) []fleet.RefusalCode {
	var out []fleet.RefusalCode
	for _, r := range refusals {
		out = append(out, r.Code)
	}
	return out
}

func TestScorePrefersTheHostWithMostLeftOfItsScarcestResource(t *testing.T) {
	req := request(2, 1024, 10)
	roomy, noMemory, brim := newHost(0, freeOf(50, 51200, 500)), newHost(1, freeOf(90, 2048, 900)), newHost(2, freeOf(2, 1024, 10))
	a, b, c := placement.Score(&roomy, req, fleet.Spread), placement.Score(&noMemory, req, fleet.Spread), placement.Score(&brim, req, fleet.Spread)
	if !(a > b && b > c && c > 0 && a <= 1) {
		t.Errorf("scores = %v, %v, %v; want them falling, within (0, 1]", a, b, c)
	}
}

func TestScoreIgnoresAnOverfullDiskWhenNoneIsAsked(t *testing.T) {
	host := newHost(0, freeOf(50, 51200, -20))
	if got := placement.Score(&host, request(1, 1024, 0), fleet.Spread); got <= 0 {
		t.Errorf("score = %v, want above 0: the host fits", got)
	}
}

func TestExplainOrdersByNameAndGivesEveryReason(t *testing.T) {
	small, cordoned, fits := newHost(0, freeOf(1, 100, 10)), newHost(1, freeOf(50, 51200, 100)), newHost(2, freeOf(50, 51200, 100))
	small.Name, cordoned.Name, fits.Name = "zeta", "beta", "alpha"
	cordoned.State = fleet.HostCordoned
	got := placement.Explain([]fleet.Host{small, cordoned, fits}, request(2, 200, 10), fleet.Spread)
	want := []fleet.Verdict{
		{Host: fits.ID, HostName: "alpha", Fits: true, Score: placement.Score(&fits, request(2, 200, 10), fleet.Spread)},
		{Host: cordoned.ID, HostName: "beta", Refusals: []fleet.Refusal{{Code: fleet.RefuseCordoned, Detail: "it is cordoned"}}},
		{Host: small.ID, HostName: "zeta", Refusals: []fleet.Refusal{
			{Code: fleet.RefuseCapacity, Resource: "vcpus", Need: 2, Free: 1, Detail: "2 vCPUs asked, 1 free"},
			{Code: fleet.RefuseCapacity, Resource: "memory_mib", Need: 200, Free: 100, Detail: "200 MiB of memory asked, 100 free"},
		}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("verdicts (-want +got):\n%s", diff)
	}
}
