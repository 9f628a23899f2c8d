package proofs

import (
	"context"
	"slices"
	"sync"
	"time"

	"grapevine/fleet"
	"grapevine/mesh"
)

// detection is how long the membership takes to find out that a node is gone,
// or back.
const detection = 8 * time.Second

// roster is the membership of a world: who has ever been there, and who has
// given whom up.
type roster struct {
	mu      sync.Mutex
	members []fleet.Member // in the order of their first start
	up      map[fleet.UUID]bool
	cut     map[[2]fleet.UUID]bool
	since   map[[2]fleet.UUID]time.Time // since when one cannot reach the other
	changed chan struct{}
}

func newRoster() *roster {
	return &roster{up: map[fleet.UUID]bool{}, cut: map[[2]fleet.UUID]bool{}, since: map[[2]fleet.UUID]time.Time{}, changed: make(chan struct{})}
}

// change does something to the roster, and has everybody look again now and
// once the news has been found out.
func (r *roster) change(f func()) {
	r.mu.Lock()
	f()
	r.mu.Unlock()
	r.look()
	time.AfterFunc(detection, r.look)
}

func (r *roster) look() {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	for _, a := range r.members {
		for _, b := range r.members {
			pair := [2]fleet.UUID{a.ID, b.ID}
			reached := r.up[a.ID] && r.up[b.ID] && !r.cut[pair] && !r.cut[[2]fleet.UUID{b.ID, a.ID}]
			if _, lost := r.since[pair]; reached {
				delete(r.since, pair)
			} else if !lost {
				r.since[pair] = now
			}
		}
	}
	close(r.changed)
	r.changed = make(chan struct{})
}

// start notes that a node has begun a life, under this address.
func (r *roster) start(m fleet.Member) {
	r.change(func() {
		r.up[m.ID] = true
		if i := slices.IndexFunc(r.members, func(o fleet.Member) bool { return o.ID == m.ID }); i >= 0 {
			r.members[i] = m
			return
		}
		r.members = append(r.members, m)
	})
}

func (r *roster) stop(id fleet.UUID) { r.change(func() { delete(r.up, id) }) }

// forget drops everybody, as when no process is left that remembers.
func (r *roster) forget() {
	r.change(func() { r.members = nil })
}

// seen is the roster as one member sees it.
func (r *roster) seen(by fleet.UUID) []fleet.Member {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := slices.Clone(r.members)
	for i := range list {
		if since, lost := r.since[[2]fleet.UUID{by, list[i].ID}]; lost && time.Since(since) >= detection {
			list[i].Status = fleet.MemberFailed
		}
	}
	return list
}

// of returns what makes a node's membership.
func (r *roster) of(cfg mesh.Config) mesh.Membership {
	return &membership{roster: r, self: fleet.Member{
		ID: cfg.ID, Name: cfg.Name, Role: cfg.Role, Status: fleet.MemberAlive,
		Gossip: cfg.GossipBind, API: cfg.API, Protocol: mesh.Protocol, Issues: cfg.Issues,
	}}
}

// membership is one node's view of the roster.
type membership struct {
	roster *roster
	self   fleet.Member
}

var _ mesh.Membership = (*membership)(nil)

func (m *membership) Start() error                  { m.roster.start(m.self); return nil }
func (m *membership) Run(ctx context.Context) error { <-ctx.Done(); return nil }
func (m *membership) Members() []fleet.Member       { return m.roster.seen(m.self.ID) }
func (m *membership) Join(string) error             { return nil }
func (m *membership) Leave()                        {}
func (m *membership) Close()                        {}
func (m *membership) Addr() string                  { return m.self.Gossip }
func (m *membership) Advertised() string            { return m.self.Gossip }

func (m *membership) Changed() <-chan struct{} {
	m.roster.mu.Lock()
	defer m.roster.mu.Unlock()
	return m.roster.changed
}

// Tell is as Serf's tags are: seen by everybody at once.
func (m *membership) Tell(a fleet.Alike) error {
	m.roster.change(func() {
		m.self.Alike = a
		if i := slices.IndexFunc(m.roster.members, func(o fleet.Member) bool { return o.ID == m.self.ID }); i >= 0 {
			m.roster.members[i].Alike = a
		}
	})
	return nil
}
