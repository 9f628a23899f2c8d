package registry

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"grapevine/api"
	"grapevine/api/client"
	"grapevine/enrol"
	"grapevine/fleet"
	"grapevine/identity"
	"grapevine/internal/buildinfo"
	"grapevine/internal/hostname"
	"grapevine/internal/rungroup"
	"grapevine/internal/sockets"
	"grapevine/internal/tracing"
	"grapevine/mesh"
	"grapevine/people/openid"
	"grapevine/people/tokens"
	"grapevine/view"
)

// Deps are what a registry is given beside its configuration.
type Deps struct {
	// Credentials have the role registry; their id is the registry's.
	identity.Credentials
	// Log is where the registry logs; nil discards.
	Log *slog.Logger
	// Network is what the registry listens on and dials through, Membership who
	// is in its mesh; nil of either means the real ones, the sockets of this
	// machine and Serf.
	Network    sockets.Network
	Membership func(mesh.Config) mesh.Membership
	// FrontEnds are those that the configuration may mount.
	FrontEnds []api.FrontEnd
	// OpenLoopback has callers on loopback that show no token be operators where
	// there is a users file too; for demonstrations.
	OpenLoopback bool
}

// Registry is one API server. New makes it, Run lives it.
type Registry struct {
	cfg      Config
	deps     Deps
	mesh     *mesh.Mesh
	core     *core
	peers    *client.Peers
	listener net.Listener
	server   *http.Server
	tracer   *tracing.Tracer
	gate     *tokens.Gate     // judges what people show
	users    *users           // nil without a users file
	oidc     *openid.Provider // nil for none
	alike    *alike
	renewer  *enrol.Renewer

	revocations *enrol.Revocations
	follower    *enrol.Follower
}

// New reads what the configuration names, and binds the API's and the gossip's
// sockets; nothing is sent or served before Run. Each error is one sentence
// that says what to do.
func New(cfg Config, deps Deps) (*Registry, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg.Name = cmp.Or(cfg.Name, hostname.Short(), "unnamed")
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	if deps.Network == nil {
		deps.Network = &sockets.System{}
	}
	r := &Registry{cfg: cfg, deps: deps}
	var err error
	counts := newMetrics()
	if r.tracer, err = tracing.New(cfg.Settings, tracing.Deps{
		Service: tracing.Service{
			Name: "grapevine-registry", Instance: deps.Identity.Subject().ID.String(), Version: buildinfo.Version(), Host: cfg.Name,
		},
		Dial: deps.Network.DialContext, Metrics: counts.registry, Log: deps.Log,
	}); err != nil {
		return nil, err
	}
	if err := r.open(counts); err != nil {
		r.tracer.Close()
		return nil, err
	}
	return r, nil
}

// open reads what the configuration names and binds the sockets.
func (r *Registry) open(counts *metrics) error {
	r.deps.Log = r.tracer.Logger(r.deps.Log)
	cfg, deps := r.cfg, r.deps
	var err error
	if r.users, err = openUsers(cfg.UsersFile, deps.Log, counts); err != nil {
		return err
	}
	if r.oidc, err = openProvider(&cfg); err != nil {
		return err
	}
	if r.listener, err = deps.Network.Listen("listen", cfg.Listen); err != nil {
		return err
	}
	if r.mesh, err = mesh.New(r.member(counts)); err != nil {
		return errors.Join(err, r.listener.Close())
	}
	r.peers = client.NewPeers(func(peer fleet.UUID) *tls.Config { return deps.Identity.ClientTLS(peer, "http/1.1") }, deps.Network)
	var desk *enrol.Desk
	r.core = &core{
		View: view.New(view.Config{
			Source: r.mesh, Flavors: cfg.Flavors, Placement: cfg.Placement, Peers: r.peers, Self: deps.Identity.Subject().ID,
			Trust: func() fleet.TrustReport { return desk.Trusting() }, RootOf: enrol.RootOf(deps.Identity),
		}),
		identity: deps.Identity,
		timeout:  cfg.RequestTimeout, ready: r.mesh.Ready, log: deps.Log, metrics: counts,
		uniqueNames: cfg.UniqueNames, leave: r.mesh.Leave, left: rungroup.NewExit(),
	}
	if r.users != nil {
		r.core.quotas = newQuotas(r.users, r.mesh.Replica(), r.core.GivenUp)
	}
	r.alike = newAlike(&cfg, deps.Identity.Subject().ID, r.users, r.mesh, deps.Log, counts)
	r.core.alike = r.alike
	r.core.openWitnesses()
	r.gate = &tokens.Gate{Identity: deps.Identity, Revoked: r.core.Revoked, Book: r.users.book}
	counts.registry.MustRegister(r.core.Collector(), enrol.Expiry(deps.Identity))
	desk = r.openDesk()
	if err := r.openAPI(counts, desk); err != nil {
		return errors.Join(err, r.Close())
	}
	return nil
}

// openAPI makes the server of the native API and of the front ends.
func (r *Registry) openAPI(counts *metrics, desk *enrol.Desk) error {
	opts := api.Options{
		Principal:   r.principal,
		People:      r.people(counts),
		PerSecond:   r.users.perSecond,
		OpenMetrics: r.cfg.OpenMetrics,
		Ready:       r.mesh.Ready,
		Metrics:     promhttp.HandlerFor(counts.registry, promhttp.HandlerOpts{}),
		Log:         r.deps.Log,
		Tracer:      r.tracer,
		Version:     buildinfo.Version(),
		Enrolment:   desk,
	}
	handler, err := mount(api.NewHandler(r.core, opts), r.cfg.Frontend, r.deps.FrontEnds, api.Front{
		Core: r.core, People: opts.People, Principal: opts.Principal, PerSecond: opts.PerSecond, Log: opts.Log, Tracer: r.tracer, Version: opts.Version,
	})
	if err != nil {
		return err
	}
	r.server = api.NewServer(handler, r.deps.Log)
	return nil
}

// openProvider reads what is needed to judge ID tokens; nil where no provider is
// named. It asks nobody: a registry starts as well where the provider is down.
func openProvider(cfg *Config) (*openid.Provider, error) {
	o := &cfg.OIDC
	if o.Issuer == "" {
		return nil, nil
	}
	p, err := openid.New(openid.Config{Issuer: o.Issuer, ClientID: o.ClientID, CAFile: o.CAFile, UserClaim: o.UserClaim, GroupsClaim: o.GroupsClaim})
	if err != nil {
		return nil, fmt.Errorf("oidc: %w", err)
	}
	return p, nil
}

// member is how the registry takes part in the mesh: as one that dials links
// and owns no block.
func (r *Registry) member(counts *metrics) mesh.Config {
	return mesh.Config{
		ID: r.deps.Identity.Subject().ID, Name: r.cfg.Name, Role: fleet.RoleRegistry, Label: r.deps.Identity.Subject().Fleet,
		API:        r.listener.Addr().String(),
		Issues:     r.deps.CA != nil && r.cfg.ListenTLS,
		GossipBind: r.cfg.GossipBind, GossipAdvertise: r.cfg.GossipAdvertise, Key: r.deps.GossipKey, FurtherKeys: r.deps.FurtherGossipKeys,
		Join: r.cfg.Join, Dial: r.dialLink, Verifier: r.deps.Identity.BlockVerifier(), Barred: r.deps.Identity.Barred, Membership: r.deps.Membership, Log: r.deps.Log, Metrics: counts.registry,
	}
}

// dialLink opens the stream of a link to an agent.
func (r *Registry) dialLink(ctx context.Context, addr string, peer fleet.UUID) (net.Conn, error) {
	return r.deps.Identity.Dial(ctx, r.deps.Network, addr, peer, mesh.ALPN)
}

// Addr returns the address on which the API is served.
func (r *Registry) Addr() string { return r.listener.Addr().String() }

// GossipAddr returns the address on which the registry listens for gossip.
func (r *Registry) GossipAddr() string { return r.mesh.GossipAddr() }

// Ready returns nil when the registry may answer for the fleet, and otherwise
// an error that says what it waits for.
func (r *Registry) Ready() error { return r.mesh.Ready() }

// Run serves until ctx ends, an operator makes the registry leave, or a part
// fails. It then lets the requests under
// way end, leaves the mesh, and returns: nil when ctx ended it. It all takes at
// most the configured grace, and three seconds more where a collector of traces
// hangs. Run is called once.
func (r *Registry) Run(ctx context.Context) error {
	defer r.tracer.Close()
	defer r.peers.Close()
	// The mesh outlives the API, whose last requests still wait for rows.
	meshCtx, leave := context.WithCancel(context.WithoutCancel(ctx))
	defer leave()
	member := start(func() error { return r.mesh.Run(meshCtx) })
	served := start(r.serve)

	var group rungroup.Group
	group.Defer("mesh", func(ctx context.Context) error {
		leave()
		return member.wait(ctx)
	})
	group.Defer("api", func(ctx context.Context) error {
		return errors.Join(r.shutdown(ctx), served.wait(ctx))
	})
	group.Add("mesh", member.watch)
	group.Add("view", r.core.Run)
	group.Add("revoked", r.revocations.Run)
	group.Add("trust", r.follower.Run)
	group.Add("certificate", r.renewer.Run)
	group.Add("leave", r.core.left.Run)
	group.Add("users", r.users.Run)
	group.Add("alike", r.alike.Run)
	group.Add("api", served.watch)
	r.deps.Log.Info("registry is starting", "name", r.cfg.Name, "fleet", r.deps.Identity.Subject().Fleet, "listen", r.Addr(), "tls", r.cfg.ListenTLS, "gossip", r.GossipAddr(), "unique_names", r.cfg.UniqueNames)
	return group.Run(ctx, r.cfg.ShutdownGrace)
}

// background is a part that goes on after the group's context has ended, until
// its step of the teardown.
type background struct {
	ended    chan struct{}
	err      error // set before ended is closed
	reported bool  // watch has returned err; watch and wait do not overlap
}

func start(run func() error) *background {
	b := &background{ended: make(chan struct{})}
	go func() {
		b.err = run()
		close(b.ended)
	}()
	return b
}

// watch is the part's actor: it returns when the part ends by itself.
func (b *background) watch(ctx context.Context) error {
	select {
	case <-b.ended:
		b.reported = true
		return b.err
	case <-ctx.Done():
		return nil
	}
}

// wait waits for the end that the teardown has asked for.
func (b *background) wait(ctx context.Context) error {
	select {
	case <-b.ended:
		if b.reported {
			return nil
		}
		return b.err
	case <-ctx.Done():
		return fmt.Errorf("it did not end in time: %w", ctx.Err())
	}
}

// Close releases the sockets of a registry that was never run.
func (r *Registry) Close() error {
	r.peers.Close()
	r.tracer.Close()
	return errors.Join(r.listener.Close(), r.mesh.Close())
}
