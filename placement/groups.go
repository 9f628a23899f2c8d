package placement

import (
	"cmp"
	"maps"
	"math/rand/v2"
	"slices"

	"grapevine/fleet"
)

// pickFor is Pick for a request that joins a group, of which the request says
// how many members each host has. What is looked at besides is the hosts that
// have some, not all.
func (x *Index) pickFor(req *fleet.Request, how fleet.Strategy, exclude map[fleet.HostID]bool, rng *rand.Rand) (fleet.HostID, bool) {
	switch members := req.Group.Members; req.Group.Policy {
	case fleet.AntiAffinity:
		return x.pickAny(req, how, without(exclude, members, 0), rng)
	case fleet.SoftAntiAffinity:
		for _, most := range levels(members) {
			if id, ok := x.pickAny(req, how, without(exclude, members, most), rng); ok {
				return id, true
			}
		}
		return fleet.HostID{}, false
	case fleet.SoftAffinity:
		for _, id := range fullest(members) {
			if slot, known := x.at.find(id, x.rows); known && !exclude[id] && x.takes(slot, req) {
				return id, true
			}
		}
	case fleet.Affinity:
		if id := req.Group.Anchor; !id.IsZero() {
			slot, known := x.at.find(id, x.rows)
			return pickedIf(id, known && !exclude[id] && x.takes(slot, req))
		}
	}
	return x.pickAny(req, how, exclude, rng)
}

// without adds to exclude the hosts that have more than so many members.
func without(exclude map[fleet.HostID]bool, members map[fleet.HostID]int, most int) map[fleet.HostID]bool {
	if len(members) == 0 {
		return exclude
	}
	out := make(map[fleet.HostID]bool, len(exclude)+len(members))
	maps.Copy(out, exclude)
	for id, n := range members {
		if n > most {
			out[id] = true
		}
	}
	return out
}

// levels are the numbers of members that hosts have, 0 first.
func levels(members map[fleet.HostID]int) []int {
	counts := append([]int{0}, slices.Collect(maps.Values(members))...)
	slices.Sort(counts)
	return slices.Compact(counts)
}

// fullest are the hosts with members, those with most first.
func fullest(members map[fleet.HostID]int) []fleet.HostID {
	return slices.SortedFunc(maps.Keys(members), func(a, b fleet.HostID) int {
		return cmp.Or(cmp.Compare(members[b], members[a]), a.Compare(b))
	})
}

// weigh lays a soft wish over a score: a host with a member fewer, or more, is
// better than any other, and among equals the score decides. With at most m
// members on any host the scores lie m+1 steps over one another.
func weigh(score float64, host fleet.HostID, j *fleet.Joining) float64 {
	most := 0
	for _, n := range j.Members {
		most = max(most, n)
	}
	steps := j.Members[host]
	switch j.Policy {
	case fleet.SoftAffinity:
	case fleet.SoftAntiAffinity:
		steps = most - steps
	default:
		return score
	}
	return (score + float64(steps)) / float64(most+1)
}
