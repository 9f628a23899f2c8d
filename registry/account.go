package registry

import (
	"slices"
	"sync"
	"time"

	"grapevine/fleet"
	"grapevine/mesh/replica"
	"grapevine/people"
)

const (
	// recountAbove is of how many changed hosts an account is made anew, from the
	// replica's index of the project, and not host by host.
	recountAbove = 64
	// allRows is more instances than a fleet has.
	allRows = 1 << 21
)

// account is what a project has as this registry has heard it, kept by host: who
// asks again looks at the hosts alone that have changed since.
type account struct {
	project string

	mu      sync.Mutex
	begun   bool
	seen    uint64 // the replica's last change that was counted
	hosts   map[fleet.HostID]portion
	total   people.Taken
	pending map[claim]*reserved
}

// portion is what a project has at one host, as of a version of its block.
type portion struct {
	at  fleet.Version
	has people.Taken
}

// claim names what is being asked for: an instance, or with what more for one that
// is there. Who asks for the same again has the same claim.
type claim struct {
	id   fleet.InstanceID
	what string
	// task is what the instance shows until it has more: its row says till then what
	// it had before. That of a new instance says from the first what it gets.
	task fleet.Task
}

// reserved is what was asked for and is not heard of yet.
type reserved struct {
	taken people.Taken
	under int           // requests under way
	at    fleet.Version // that a host promised it at
	until time.Time     // when it is waited for no more
	over  bool          // that host has ended it by then
}

func newAccount(project string) *account {
	return &account{project: project, hosts: map[fleet.HostID]portion{}, pending: map[claim]*reserved{}}
}

// bring brings the account in step with the replica. The caller holds mu.
func (a *account) bring(r *replica.Replica) {
	changed, last := r.ChangedSince(a.seen)
	a.seen = last
	if a.begun && len(changed) <= recountAbove {
		for _, host := range changed {
			a.count(r.Block(host), r)
		}
		return
	}
	a.begun = true
	clear(a.hosts)
	a.total = people.Taken{}
	rows, _ := r.Page(replica.Query{Project: a.project, Limit: allRows})
	for _, f := range rows {
		p, has := a.hosts[f.Block.HostID()], takenBy(f)
		if p.at.IsZero() {
			p.at = f.Block.Version()
		}
		p.has.Add(has)
		a.total.Add(has)
		a.hosts[f.Block.HostID()] = p
	}
}

// count counts one host anew.
func (a *account) count(b *replica.Block, r *replica.Replica) {
	if b == nil {
		return
	}
	p := portion{at: b.Version()}
	rows, _ := r.Page(replica.Query{Host: b.HostID(), Project: a.project, Limit: allRows})
	for _, f := range rows {
		p.has.Add(takenBy(f))
	}
	a.total.Take(a.hosts[b.HostID()].has)
	a.total.Add(p.has)
	a.hosts[b.HostID()] = p
}

// takenBy is what a row takes of its project's quota: a machine that Grapevine did
// not make takes nothing, and a copy that does not count neither.
func takenBy(f replica.Found) people.Taken {
	row, ok := f.Instance()
	if !ok || row.Ownership == fleet.Foreign || !row.SupersededBy.IsZero() {
		return people.Taken{}
	}
	return people.Taken{Instances: 1, Resources: row.Resources()}
}

// heard returns what the project has, but for what is at hosts that were given up.
func (a *account) heard(given []fleet.HostID) people.Taken {
	out := a.total
	for _, host := range given {
		out.Take(a.hosts[host].has)
	}
	return out
}

// awaited returns what is asked for beside a claim, and forgets what has been heard
// of, and what is at hosts that were given up. It comes before heard: what it finds
// told by a host, it has counted there.
func (a *account) awaited(but claim, r *replica.Replica, given []fleet.HostID, now time.Time) people.Taken {
	var out people.Taken
	for c, p := range a.pending {
		told := a.told(c, p, r)
		switch {
		case slices.Contains(given, p.at.Host):
			told = true
		case told && !p.over && c.task != fleet.TaskNone && shows(r, c, p.at.Host):
			told, p.until = false, now.Add(awaitedFor)
		}
		switch {
		case p.under == 0 && (told || now.After(p.until)):
			delete(a.pending, c)
		case !told && c != but:
			out.Add(p.taken)
		}
	}
	return out
}

// told reports whether hosts tell of what was asked for themselves.
func (a *account) told(c claim, p *reserved, r *replica.Replica) bool {
	if !p.at.IsZero() {
		b := r.Block(p.at.Host)
		if b == nil || !b.Version().AtLeast(p.at) {
			return false
		}
		a.upTo(b, r)
		return true
	}
	if c.what != "" {
		return false
	}
	found := r.Find(c.id)
	for _, f := range found {
		a.upTo(f.Block, r)
	}
	return len(found) > 0
}

// shows reports whether a host shows that what it promised is still being done.
func shows(r *replica.Replica, c claim, host fleet.HostID) bool {
	for _, f := range r.Find(c.id) {
		if row, ok := f.Instance(); ok && f.Block.HostID() == host {
			return row.Task == c.task
		}
	}
	return false
}

// promised notes when a host has promised what was asked for. An instance has one
// thing done to it at a time: what that host promised for it before is over then.
func (a *account) promised(c claim, at fleet.Version, now time.Time) {
	for other, p := range a.pending {
		if c.task != fleet.TaskNone && other.id == c.id && other != c && p.at.Host == at.Host && at.AtLeast(p.at) {
			p.at, p.over = at, true
		}
	}
	held := a.pending[c]
	held.at, held.until, held.over = at, now.Add(awaitedFor), false
}

// upTo counts a host anew where this block of it was not counted yet.
func (a *account) upTo(b *replica.Block, r *replica.Replica) {
	if p, there := a.hosts[b.HostID()]; !there || !p.at.AtLeast(b.Version()) {
		a.count(r.Block(b.HostID()), r)
	}
}
