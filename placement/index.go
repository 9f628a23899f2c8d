package placement

import (
	"math/rand/v2"
	"slices"

	"grapevine/fleet"
)

// SampleSize is how many fitting hosts Pick scores. Two of them already take
// the peaks off; with eight, the choice is nearly as good as the best of all,
// and N registries that share one view still seldom choose alike.
const SampleSize = 8

// Index is what placement knows of the hosts: the newest row of each, with the
// reachability that the reading node laid over it. It is not safe for
// concurrent use where one call is Update or Remove; the caller locks.
type Index struct {
	rows []fleet.Host // in no order that matters
	at   map[fleet.HostID]int
}

// NewIndex returns an index of these hosts.
func NewIndex(hosts []fleet.Host) *Index {
	x := &Index{at: make(map[fleet.HostID]int, len(hosts))}
	for i := range hosts {
		x.Update(hosts[i])
	}
	return x
}

// Len returns how many hosts the index knows, fit for something or not.
func (x *Index) Len() int { return len(x.rows) }

// Update takes in a host's row. An older row than the one known changes only
// the reachability: a row that came with a host's refusal may be ahead of what
// gossip has brought so far.
func (x *Index) Update(host fleet.Host) {
	i, known := x.at[host.ID]
	switch {
	case !known:
		x.at[host.ID] = len(x.rows)
		x.rows = append(x.rows, host)
	case newer(x.rows[i].Version, host.Version):
		x.rows[i].Reachability, x.rows[i].ReachabilitySince = host.Reachability, host.ReachabilitySince
	default:
		x.rows[i] = host
	}
}

// newer reports whether the held version is strictly newer than the other.
func newer(held, other fleet.Version) bool { return held.AtLeast(other) && held != other }

// Remove drops a host that was forgotten. One that is not known is no error.
func (x *Index) Remove(id fleet.HostID) {
	i, known := x.at[id]
	if !known {
		return
	}
	last := len(x.rows) - 1
	x.rows[i] = x.rows[last]
	x.at[x.rows[i].ID] = i
	x.rows[last] = fleet.Host{}
	x.rows = x.rows[:last]
	delete(x.at, id)
}

// Pick proposes a host for the request: of SampleSize hosts that fit, drawn at
// random, the one with the highest Score. Hosts in exclude, which may be nil,
// are passed over. It reports false when no host fits.
func (x *Index) Pick(req *fleet.Request, exclude map[fleet.HostID]bool, rng *rand.Rand) (fleet.HostID, bool) {
	var (
		best      fleet.HostID
		bestScore float64
		found     int
	)
	x.visit(req, rng, func(host *fleet.Host) bool {
		if exclude[host.ID] || len(Judge(host, req)) > 0 {
			return true
		}
		if score := Score(host, req); found == 0 || score > bestScore {
			best, bestScore = host.ID, score
		}
		found++
		return found < SampleSize
	})
	return best, found > 0
}

// visit calls f with every host that may fit, in a random order, until f
// returns false. The order is a walk around the rows from a random start with
// a random stride that shares no divisor with their number, so each row comes
// once and nothing is allocated or shared. A later index by class visits fewer
// rows here, and nothing else changes.
func (x *Index) visit(req *fleet.Request, rng *rand.Rand, f func(*fleet.Host) bool) {
	if !req.Host.IsZero() {
		if i, known := x.at[req.Host]; known {
			f(&x.rows[i])
		}
		return
	}
	n := len(x.rows)
	if n == 0 {
		return
	}
	i, stride := rng.IntN(n), 1+rng.IntN(n)
	for gcd(stride, n) != 1 {
		stride = 1 + rng.IntN(n)
	}
	for range n {
		if !f(&x.rows[i]) {
			return
		}
		i = (i + stride) % n
	}
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// Explain is a dry run of Pick: where the request would go, and a verdict on
// every host. Two runs may choose differently where several hosts fit; the
// caller fills in the coverage.
func (x *Index) Explain(req *fleet.Request, rng *rand.Rand) fleet.Explanation {
	e := fleet.Explanation{Verdicts: Explain(x.rows, req)}
	if id, ok := x.Pick(req, nil, rng); ok {
		e.Chosen, e.ChosenName = id, x.rows[x.at[id]].Name
	}
	return e
}

// Verdicts judges every host but those in exclude, ordered by name.
func (x *Index) Verdicts(req *fleet.Request, exclude map[fleet.HostID]bool) []fleet.Verdict {
	return slices.DeleteFunc(Explain(x.rows, req), func(v fleet.Verdict) bool { return exclude[v.Host] })
}
