package records

import (
	"cmp"
	"strings"

	"grapevine/fleet"
)

// Union is a set of records by id.
type Union map[fleet.RecordID]fleet.Record

// Add puts a record in. Of two that state the same, accepted by two agents at
// once, one counts, at every node the same.
func (u Union) Add(r fleet.Record) {
	if held, there := u[r.ID]; !there || prefer(&r, &held) < 0 {
		u[r.ID] = r
	}
}

// Merge returns all that is in a or in b.
func Merge(a, b Union) Union {
	out := make(Union, max(len(a), len(b)))
	for _, u := range []Union{a, b} {
		for _, r := range u {
			out.Add(r)
		}
	}
	return out
}

// prefer orders records of one id: by acceptor, and then by whatever else may
// be different. No clock is compared: AcceptedAt is one more number here.
func prefer(a, b *fleet.Record) int {
	return cmp.Or(
		a.Acceptor.Compare(b.Acceptor),
		cmp.Compare(a.Covers.Epoch, b.Covers.Epoch),
		cmp.Compare(a.Covers.Seq, b.Covers.Seq),
		cmp.Compare(a.Generation, b.Generation),
		a.CreatedAt.Compare(b.CreatedAt),
		strings.Compare(a.By, b.By),
		strings.Compare(a.Why, b.Why),
		strings.Compare(a.Name, b.Name),
		strings.Compare(a.Project, b.Project),
		strings.Compare(string(a.Policy), string(b.Policy)),
		strings.Compare(a.PublicKey, b.PublicKey),
		a.AcceptedAt.Compare(b.AcceptedAt),
	)
}

// Supersedes reports whether a leaves nothing for b to say: both are decisions
// about one host, a covers all that b covers, and says as much of it. To forget
// a host says more than that it is dead.
func Supersedes(a, b *fleet.Record) bool {
	return a.ID != b.ID && a.Kind.IsDecision() && b.Kind.IsDecision() && a.Subject == b.Subject &&
		a.Covers.Epoch >= b.Covers.Epoch && (a.Kind == fleet.Forget || b.Kind == fleet.DeclareDead)
}
