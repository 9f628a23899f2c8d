package placement

import (
	"fmt"
	"slices"
	"strings"

	"grapevine/fleet"
)

// Judge returns every reason why the host is not proposed for the request,
// none when it fits: those of fleet.Fits, preceded by one with the code
// unreachable when the reading node cannot hear the host's agent, by
// host.Reachability. An empty reachability counts as not heard: nobody vouches
// for the row.
func Judge(host *fleet.Host, req *fleet.Request) []fleet.Refusal {
	refusals := fleet.Fits(host, req)
	if heard(host) {
		return refusals
	}
	detail := "its agent cannot be heard"
	if host.Reachability != "" {
		detail = fmt.Sprintf("its agent cannot be heard: it is %s", host.Reachability)
	}
	return append([]fleet.Refusal{{Code: fleet.RefuseUnreachable, Detail: detail}}, refusals...)
}

// heard reports whether the host's agent can take a proposal. An agent whose
// hypervisor is silent can be heard; fleet.Fits refuses for it.
func heard(host *fleet.Host) bool {
	return host.Reachability == fleet.ReachOK || host.Reachability == fleet.ReachHypervisorUnreachable
}

// Score says how good a fitting host is for the request, above 0 and at most
// 1, higher is better. To spread: the part of the host's scarcest resource that
// would be left free; one unit is added on both sides, so that a host which the
// request just fills still scores above 0. To pack: 1 / (1 + the GiB of memory
// that would be left free). A host that has to fetch the image first scores half
// of that: it is as good as a holder that has half as much to spare. Where the
// request joins a group with a soft policy, that decides before anything else.
func Score(host *fleet.Host, req *fleet.Request, how fleet.Strategy) float64 {
	score := spare(host, req, how)
	if req.Image != "" && !host.HoldsImage(req.Image) {
		score /= 2
	}
	return weigh(score, host.ID, &req.Group)
}

// spare is the score of a host for what it would have left.
func spare(host *fleet.Host, req *fleet.Request, how fleet.Strategy) float64 {
	c := &host.Capacity
	if how == fleet.Pack {
		return 1 / (1 + float64(max(c.MemoryMiB.Free-req.MemoryMiB, 0))/1024)
	}
	left := func(a *fleet.Amount, need int64) float64 { return float64(a.Free-need+1) / float64(sizeOf(a)) }
	score := min(left(&c.VCPUs, req.VCPUs), left(&c.MemoryMiB, req.MemoryMiB))
	if req.DiskGiB > 0 {
		score = min(score, left(&c.DiskGiB, req.DiskGiB))
	}
	return score
}

// Explain judges every host, and returns one verdict each, with every refusal,
// ordered by the host's name and then its id.
func Explain(hosts []fleet.Host, req *fleet.Request, how fleet.Strategy) []fleet.Verdict {
	verdicts := make([]fleet.Verdict, 0, len(hosts))
	for i := range hosts {
		verdicts = append(verdicts, verdict(&hosts[i], req, how))
	}
	Order(verdicts)
	return verdicts
}

func verdict(host *fleet.Host, req *fleet.Request, how fleet.Strategy) fleet.Verdict {
	v := fleet.Verdict{Host: host.ID, HostName: host.Name, Refusals: Judge(host, req), GroupMembers: req.Group.Members[host.ID]}
	if len(v.Refusals) == 0 {
		v.Fits = true
		v.Score = Score(host, req, how)
	}
	return v
}

// Order sorts verdicts as people read them: by host name, then by id.
func Order(verdicts []fleet.Verdict) {
	slices.SortFunc(verdicts, func(a, b fleet.Verdict) int {
		if c := strings.Compare(a.HostName, b.HostName); c != 0 {
			return c
		}
		return a.Host.Compare(b.Host)
	})
}
