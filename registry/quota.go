package registry

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"grapevine/fleet"
	"grapevine/mesh/replica"
	"grapevine/people"
)

// awaitedFor is for how long what was asked for counts where no host is heard to
// tell of it: a host that was cut off, or one that did not answer.
const awaitedFor = time.Minute

// quotas judges what projects may still take, by what this registry has heard and
// what it has asked for itself. That is soft: what other registries have asked for
// and this one has not heard of is not counted, see docs/decisions/0014-people.md.
type quotas struct {
	users   *users
	replica *replica.Replica
	given   func() []fleet.HostID // hosts that were given up

	mu       sync.Mutex
	accounts map[string]*account // guarded by mu: of projects of the users file
}

func newQuotas(u *users, r *replica.Replica, given func() []fleet.HostID) *quotas {
	return &quotas{users: u, replica: r, given: given, accounts: map[string]*account{}}
}

// project returns a project of the users file; nil for none.
func (q *quotas) project(name string) *people.Project {
	if q == nil || q.users.book() == nil {
		return nil
	}
	return q.users.book().Project(name)
}

// countsDisk reports whether it is counted how much disk a project has.
func (q *quotas) countsDisk(project string) bool {
	p := q.project(project)
	return p != nil && p.Quota.DiskGiB != nil
}

// network returns the network cards of an instance that asks for none.
func (q *quotas) network(project string, asked []fleet.NIC) []fleet.NIC {
	if p := q.project(project); p != nil && p.Network != "" && len(asked) == 0 {
		return []fleet.NIC{{Network: p.Network}}
	}
	return asked
}

// account returns a project's account. Those of projects that the file has no more
// go when another comes.
func (q *quotas) account(project string) *account {
	q.mu.Lock()
	defer q.mu.Unlock()
	a := q.accounts[project]
	if a == nil {
		for name := range q.accounts {
			if q.project(name) == nil {
				delete(q.accounts, name)
			}
		}
		a = newAccount(project)
		q.accounts[project] = a
	}
	return a
}

// has returns what a project has, as this registry has heard it.
func (q *quotas) has(project string) people.Taken {
	a := q.account(project)
	given := q.given()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.bring(q.replica)
	return a.heard(given)
}

// judge refuses what would take a project past its quota, and promises nothing.
func (q *quotas) judge(project string, c claim, asked people.Taken) error {
	_, err := q.reserve(project, c, asked, false)
	return err
}

// hold is judge, and counts what is asked for from then on, until it is let go of.
func (q *quotas) hold(project string, c claim, asked people.Taken) (*holding, error) {
	return q.reserve(project, c, asked, true)
}

func (q *quotas) reserve(project string, c claim, asked people.Taken, keep bool) (*holding, error) {
	p := q.project(project)
	if p == nil || p.Quota.Unlimited() {
		return nil, nil
	}
	a := q.account(project)
	given := q.given()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.bring(q.replica)
	used := a.awaited(c, q.replica, given, time.Now())
	used.Add(a.heard(given))
	if c.what == "" && len(q.replica.Find(c.id)) > 0 {
		return nil, nil // it is there, and counted: the same was asked for before
	}
	if refusals := p.Quota.Fits(project, used, asked); refusals != nil {
		return nil, overQuota(refusals)
	}
	if !keep {
		return nil, nil
	}
	held := a.pending[c]
	if held == nil {
		held = &reserved{}
		a.pending[c] = held
	}
	held.taken.AtLeast(asked)
	held.under++
	return &holding{a, c}, nil
}

// overQuota is the error of a request that a quota refuses.
func overQuota(refusals []fleet.Refusal) error {
	reasons := make([]string, len(refusals))
	for i, r := range refusals {
		reasons[i] = r.Detail
	}
	detail := "quota: " + strings.Join(reasons, "; ") + "; delete something, or have an administrator raise the quota in the users file"
	return &fleet.Error{Code: fleet.CodeRefused, Refusals: refusals, Detail: detail}
}

// holding is what a request under way has of a quota. Nil has nothing.
type holding struct {
	account *account
	claim   claim
}

// done notes what became of the request. What a host has promised counts until that
// host tells of it; so does, for some time, what may have been done.
func (h *holding) done(at fleet.Version, err error) {
	if h == nil {
		return
	}
	h.account.mu.Lock()
	defer h.account.mu.Unlock()
	held := h.account.pending[h.claim]
	held.under--
	switch {
	case err == nil:
		h.account.promised(h.claim, at, time.Now())
	case mayBeDone(err):
		held.until = time.Now().Add(awaitedFor)
	}
	if held.under == 0 && held.until.IsZero() {
		delete(h.account.pending, h.claim)
	}
}

func mayBeDone(err error) bool {
	return fleet.CodeOf(err) == fleet.CodeOutcomeUnknown || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// inProject is a create with the network of its project, where it names none. A clone
// then has the cards of its source.
func (c *core) inProject(in fleet.Create) fleet.Create {
	if in.Source == "" {
		in.Networks = c.quotas.network(cmp.Or(in.Project, fleet.DefaultProject), in.Networks)
	}
	return in
}

// Explain implements api.Core: a quota is explained first.
func (c *core) Explain(ctx context.Context, in fleet.Create) (fleet.Explanation, error) {
	in = c.inProject(in)
	req, err := c.Resolve(ctx, in)
	if err != nil {
		return fleet.Explanation{}, err
	}
	if err := c.quotas.judge(req.Project, claim{id: newInstanceID()}, people.Taken{Instances: 1, Resources: req.Resources}); err != nil {
		return fleet.Explanation{}, err
	}
	return c.View.Explain(ctx, in)
}
