package placement_test

import (
	"cmp"
	"slices"
	"testing"

	"grapevine/fleet"
	"grapevine/placement"
)

// joining asks for a place in a group whose members are on these hosts.
func joining(policy fleet.GroupPolicy, members map[fleet.HostID]int) *fleet.Request {
	req := request(1, 1, 1)
	req.Group = fleet.Joining{Grouping: fleet.Grouping{ID: fleet.UUID{5}, Policy: policy}, Members: members}
	return req
}

// inTurn asks again and again, each time without the hosts named before, and
// returns how many members these had.
func inTurn(t *testing.T, index *placement.Index, req *fleet.Request, how fleet.Strategy, seed uint64) (hosts []fleet.HostID, members []int) {
	t.Helper()
	rng, exclude := newRNG(seed), map[fleet.HostID]bool{}
	for {
		id, ok := index.Pick(req, how, exclude, rng)
		if !ok {
			return hosts, members
		}
		if exclude[id] {
			t.Fatalf("%s is picked, and was excluded", id)
		}
		exclude[id] = true
		hosts, members = append(hosts, id), append(members, req.Group.Members[id])
	}
}

// Hosts 0 to 5 have members, and the fewer the fuller they are, so that a choice
// by what is free alone would turn the order round. Host 6 takes nothing.
func crowd() ([]fleet.Host, map[fleet.HostID]int) {
	var hosts []fleet.Host
	members := map[fleet.HostID]int{}
	for n, count := range []int{0, 0, 1, 1, 3, 7} {
		hosts = append(hosts, newHost(n, freeOf(int64(5+10*count), 102400, 1000)))
		if count > 0 {
			members[hosts[n].ID] = count
		}
	}
	full := newHost(6, freeOf(0, 0, 0))
	members[full.ID] = 4
	return append(hosts, full), members
}

func TestSoftPoliciesAreAnOrderOfAllHostsThatFit(t *testing.T) {
	hosts, members := crowd()
	for policy, want := range map[fleet.GroupPolicy][]int{
		fleet.SoftAntiAffinity: {0, 0, 1, 1, 3, 7},
		fleet.SoftAffinity:     {7, 3, 1, 1, 0, 0},
	} {
		for _, how := range strategies {
			for seed := range uint64(50) {
				if _, got := inTurn(t, placement.NewIndex(hosts), joining(policy, members), how, seed); !slices.Equal(got, want) {
					t.Fatalf("%s by %q: hosts with %v members in turn, want %v", policy, how, got, want)
				}
			}
		}
	}
}

func TestStrictPoliciesLeaveNoOtherHost(t *testing.T) {
	hosts, members := crowd()
	index := placement.NewIndex(hosts)
	for _, how := range strategies {
		got, _ := inTurn(t, index, joining(fleet.AntiAffinity, members), how, 1)
		slices.SortFunc(got, fleet.UUID.Compare)
		if want := []fleet.HostID{hosts[0].ID, hosts[1].ID}; !slices.Equal(got, want) {
			t.Errorf("anti-affinity by %q: %v, want those without members, %v", how, got, want)
		}
		for n, want := range map[int]int{3: 1, 6: 0} { // 6 is full
			req := joining(fleet.Affinity, members)
			req.Group.Anchor = hosts[n].ID
			got, _ := inTurn(t, index, req, how, 1)
			if len(got) != want || want == 1 && got[0] != hosts[n].ID {
				t.Errorf("affinity by %q with the anchor %d: %v", how, n, got)
			}
		}
	}
}

// What explains a choice puts the hosts in the same order.
func TestExplanationFollowsTheSoftPolicies(t *testing.T) {
	hosts, members := crowd()
	for policy, best := range map[fleet.GroupPolicy]int{fleet.SoftAffinity: 7, fleet.SoftAntiAffinity: 0} {
		e := placement.NewIndex(hosts).Explain(joining(policy, members), fleet.Spread, newRNG(1))
		first := slices.MaxFunc(e.Verdicts, func(a, b fleet.Verdict) int { return cmp.Compare(a.Score, b.Score) })
		if members[e.Chosen] != best || members[first.Host] != best || len(e.Verdicts) != len(hosts) {
			t.Errorf("%s: %+v", policy, e)
		}
	}
}
