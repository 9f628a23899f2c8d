package proofs

import (
	"context"
	"fmt"
	"testing/synctest"

	"grapevine/api/client"
	"grapevine/fleet"
	"grapevine/identity"
	"grapevine/registry"
)

// Registry is one registry through all its lives.
type Registry struct {
	Name   string
	Client *client.Client // asks the present life

	w     *World
	id    fleet.UUID
	own   *identity.Identity
	ca    *identity.CA // with which it issues; nil for none
	users string       // its users file; empty for none
	place place
	life  *life
}

func (w *World) newRegistry(n int) *Registry {
	w.t.Helper()
	r := &Registry{Name: fmt.Sprintf("registry-%d", n), id: fleet.UUID{2, byte(n), 15: 1}, w: w}
	r.place = place{net: w.net, name: fmt.Sprintf("10.1.0.%d", n+1)}
	r.own = w.issue(identity.Registry, r.id, r.Name)
	return r
}

// Up reports whether the registry lives.
func (r *Registry) Up() bool { return r.life != nil }

// Start begins a life of the registry, which remembers nothing.
func (r *Registry) Start() {
	r.w.t.Helper()
	cfg := registry.Default()
	cfg.Name, cfg.ListenTLS = r.Name, true
	cfg.Listen, cfg.GossipBind = r.place.name+":7948", r.place.name+":7949"
	cfg.Join, cfg.UsersFile = []string{"10.0.0.1", "10.0.0.2"}, r.users
	node, err := registry.New(cfg, registry.Deps{
		Credentials: identity.Credentials{Identity: r.own, GossipKey: r.w.key, CA: r.ca}, Log: r.w.log,
		Network: &r.place, Membership: r.w.roster.of,
	})
	if err != nil {
		r.w.t.Fatalf("start %s: %v", r.Name, err)
	}
	r.w.net.Restore(r.place.name)
	l := &life{ended: make(chan error, 1)}
	var ctx context.Context
	ctx, l.cancel = context.WithCancel(context.Background())
	go func() { l.ended <- node.Run(ctx) }()
	r.life, r.Client = l, r.w.client(cfg.Listen, r.id)
}

// Kill ends the registry as kill -9 does.
func (r *Registry) Kill() {
	r.w.t.Helper()
	synctest.Wait()
	r.w.net.Isolate(r.place.name)
	r.w.roster.stop(r.id)
	r.Client.Close()
	r.life.end(r.w, r.Name)
	r.life = nil
}
