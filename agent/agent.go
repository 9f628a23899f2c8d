package agent

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"sync"
	"time"

	"grapevine/agent/consoles"
	"grapevine/agent/download"
	"grapevine/agent/fetch"
	"grapevine/agent/journal"
	"grapevine/agent/ledger"
	"grapevine/agent/observer"
	"grapevine/agent/uploads"
	"grapevine/api"
	"grapevine/api/client"
	"grapevine/drivers"
	"grapevine/enrol"
	"grapevine/fleet"
	"grapevine/identity"
	"grapevine/internal/buildinfo"
	"grapevine/internal/hostname"
	"grapevine/internal/rungroup"
	"grapevine/internal/sockets"
	"grapevine/internal/tracing"
	"grapevine/mesh"
	"grapevine/people/tokens"
	"grapevine/view"
)

// Deps are what an agent is given beside its configuration.
type Deps struct {
	// Driver drives the host's hypervisor; the agent closes it.
	Driver drivers.Driver
	// Credentials have the role agent; their id is the host's.
	identity.Credentials
	// Log is where the agent logs; nil discards.
	Log *slog.Logger
	// Network is what the agent listens on and dials through, Membership who is
	// in its mesh; nil of either means the real ones, the sockets of this machine
	// and Serf.
	Network    sockets.Network
	Membership func(mesh.Config) mesh.Membership
	// GrantLife is how long a witness with a new journal waits before it learns;
	// 0 means fleet.GrantLife, and tests that wait have less.
	GrantLife time.Duration
	// Steps is told each step of each write of the journal, and may block there:
	// a proof kills the agent at one. It may be nil.
	Steps func(journal.Step)
	// Ready is called once, when the agent serves and others can see its host.
	// It may be nil.
	Ready func()
}

// Agent is one host's daemon. New makes it and binds its sockets, Run lives it.
type Agent struct {
	// View answers the reads.
	*view.View

	cfg      Config
	driver   drivers.Driver
	identity *identity.Identity
	gate     *tokens.Gate // judges what people show
	hostID   fleet.HostID
	network  sockets.Network
	log      *slog.Logger
	ready    func()
	started  time.Time

	journal  *journal.Journal
	observer *observer.Observer
	mesh     *mesh.Mesh
	peers    *client.Peers
	state    *state
	keys     idLock
	shelf    *shelf
	told     told
	giving   giving
	spool    *fetch.Spool
	uploads  *uploads.Desk
	web      *download.Web
	trust    trust
	past     past
	boots    rebooted
	metrics  *metrics
	tracer   *tracing.Tracer
	drain    drain
	denied   denied
	audits   auditShown
	tickets  consoles.Tickets
	consoles *consoles.Sessions

	witnessing witnessing
	desk       *enrol.Desk
	renewer    *enrol.Renewer

	revocations *enrol.Revocations
	follower    *enrol.Follower

	listener net.Listener   // HTTPS and links
	socket   net.Listener   // nil for none
	stale    chan struct{}  // what was published may be out of date
	left     *rungroup.Exit // told when an operator made the agent leave
	// publishing keeps accounts in the order in which they were drawn up.
	publishing sync.Mutex

	// running is the context of operations; operations are those under way.
	running    context.Context //nolint:containedctx // operations outlive the requests that begin them.
	halt       context.CancelFunc
	operations sync.WaitGroup
}

var (
	_ api.Core = (*Agent)(nil)
	_ api.Node = (*Agent)(nil)
)

// describeWait is how long New waits for the hypervisor to say what the host
// is; one that does not answer is looked for again later.
const describeWait = 5 * time.Second

// New opens the journal and binds the agent's sockets. Every error is one
// sentence for the operator.
func New(ctx context.Context, cfg Config, deps Deps) (*Agent, error) {
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
	a := &Agent{
		cfg: cfg, driver: deps.Driver, identity: deps.Identity, hostID: deps.Identity.Subject().ID, network: deps.Network,
		log: deps.Log.With("host", cfg.Name), ready: deps.Ready, started: time.Now(),
		shelf: newShelf(), giving: make(giving, maxReaders), metrics: newMetrics(), stale: make(chan struct{}, 1), drain: drain{wake: make(chan struct{}, 1)}, left: rungroup.NewExit(),
	}
	a.trust.given, a.boots.wake = make(chan struct{}), make(chan struct{}, 1)
	a.consoles = consoles.NewSessions(a.consoleEnded)
	a.metrics.countConsoles(a.consoles)
	a.metrics.registry.MustRegister(usageCollector{a})
	a.countReturn()
	a.running, a.halt = context.WithCancel(context.WithoutCancel(ctx))
	if err := a.open(ctx, deps); err != nil {
		return nil, errors.Join(err, a.Close())
	}
	return a, nil
}

func (a *Agent) open(ctx context.Context, deps Deps) error {
	var err error
	if a.journal, err = journal.Open(filepath.Join(a.cfg.DataDir, "journal.db")); err != nil {
		return err
	}
	a.journal.Tell(deps.Steps)
	if a.tracer, err = tracing.New(a.cfg.Settings, tracing.Deps{
		Service: tracing.Service{Name: "grapevine-agent", Instance: a.hostID.String(), Version: buildinfo.Version(), Host: a.cfg.Name},
		Dial:    a.network.DialContext, Metrics: a.metrics.registry, Log: a.log,
	}); err != nil {
		return err
	}
	a.log = a.tracer.Logger(a.log)
	if a.spool, err = fetch.Open(fetch.Config{Dir: filepath.Join(a.cfg.DataDir, "images"), Log: a.log}); err != nil {
		return err
	}
	a.uploads = uploads.New(a.spool)
	if a.web, err = download.NewWeb(a.cfg.ImageURLs); err != nil {
		return fmt.Errorf("image_urls: %w", err)
	}
	hardware, err := a.bind(ctx)
	if err != nil {
		return err
	}
	if err := a.listen(); err != nil {
		return err
	}
	secret, err := a.serfSecret()
	if err != nil {
		return err
	}
	signer, err := a.identity.BlockSigner()
	if err != nil {
		return err
	}
	api := advertised(a.listener.Addr(), a.cfg.ListenAdvertise)
	if a.mesh, err = mesh.New(mesh.Config{
		ID: a.hostID, Name: a.cfg.Name, Role: fleet.RoleAgent, Label: a.identity.Subject().Fleet, API: api,
		GossipBind: a.cfg.GossipBind, GossipAdvertise: a.cfg.GossipAdvertise, Key: deps.GossipKey, FurtherKeys: deps.FurtherGossipKeys,
		Issues: deps.CA != nil, KeyringDir: a.cfg.DataDir, SavedFleet: filepath.Join(a.cfg.DataDir, "fleet.saved"), Join: a.cfg.Join, SerfRPC: a.cfg.SerfRPC, SerfRPCSecret: secret,
		Epochs: (*returning)(a), Hardware: hardware, Replaces: a.cfg.ReplacesHardware, Dial: a.dial, Seal: signer.Current, Verifier: a.identity.BlockVerifier(), Barred: a.identity.Barred,
		Membership: deps.Membership, Log: a.log, Metrics: a.metrics.registry,
	}); err != nil {
		return err
	}
	a.state, err = restore(a.journal, fleet.Host{
		ID: a.hostID, Name: a.cfg.Name, Zone: a.cfg.Zone, Labels: a.cfg.Labels, API: api, AgentVersion: buildinfo.Version(),
	}, a.cfg.terms())
	if err != nil {
		return err
	}
	if a.drain.record, err = a.journal.Drain(); err != nil {
		return err
	}
	a.observer = observer.New(observer.Config{
		Driver: a.driver, Every: a.cfg.ListEvery, Changed: a.outdate, Log: a.log,
	})
	if err := a.recall(); err != nil {
		return err
	}
	a.peers = client.NewPeers(func(peer fleet.UUID) *tls.Config { return a.identity.ClientTLS(peer, "http/1.1") }, a.network)
	a.View = view.New(view.Config{
		Source: a.mesh, Flavors: a.cfg.Flavors, Peers: a.peers, Self: a.hostID, Local: (*local)(a),
		Trust: func() fleet.TrustReport { return a.desk.Trusting() }, RootOf: enrol.RootOf(a.identity),
	})
	a.gate = &tokens.Gate{Identity: a.identity, Revoked: a.View.Revoked}
	if err := a.openDesk(deps.Credentials); err != nil {
		return err
	}
	if err := a.openWitnessing(deps.GrantLife); err != nil {
		return err
	}
	if err := a.metrics.registry.Register(a.View.Collector()); err != nil {
		return fmt.Errorf("register metrics of the view: %w", err)
	}
	return nil
}

// serfSecret reads what the stock serf command has to tell.
func (a *Agent) serfSecret() (string, error) {
	if a.cfg.SerfRPC == "" {
		return "", nil
	}
	return identity.LoadSecret("serf_rpc_auth", a.cfg.SerfRPCAuth)
}

// terms are the conditions under which the host gives out what it has.
func (c *Config) terms() ledger.Terms {
	return ledger.Terms{
		VCPURatio: c.OvercommitVCPUs, MemoryRatio: c.OvercommitMemory, DiskRatio: c.OvercommitDisk,
		Reserve: fleet.Resources{VCPUs: c.ReserveVCPUs, MemoryMiB: c.ReserveMemoryMiB, DiskGiB: c.ReserveDiskGiB},
	}
}

// Run lives the agent until ctx ends, an operator makes it leave, or a part of
// it fails, and releases all that New took. Operations under way are taken up by the next start.
func (a *Agent) Run(ctx context.Context) error {
	var group rungroup.Group
	group.Defer("release", func(context.Context) error { return a.Close() })
	group.Add("mesh", a.mesh.Run)
	group.Add("view", a.View.Run)
	group.Add("observer", a.observer.Run)
	group.Add("publisher", a.keepPublished)
	group.Add("janitor", a.keepTidy)
	group.Add("denied", a.keepDenied)
	group.Add("intents", a.keepIntents)
	group.Add("return", a.keepJudged)
	group.Add("drain", a.keepDraining)
	group.Add("witness", a.keepWitness)
	group.Add("autostart", a.keepStarted)
	group.Add("moves", a.keepMoved)
	group.Add("consoles", a.consoles.Run)
	group.Add("revoked", a.revocations.Run)
	group.Add("trust", a.follower.Run)
	group.Add("certificate", a.renewer.Run)
	group.Add("leave", a.left.Run)
	a.serve(&group)
	if err := a.resume(); err != nil {
		return errors.Join(err, a.Close())
	}
	return group.Run(ctx, shutdownGrace)
}

// shutdownGrace bounds the end: systemd's default is 90 s, and the mesh wants
// a few to say good bye.
const shutdownGrace = 15 * time.Second

// Close gives back all that New took, in reverse, of an agent that is not run;
// Run does so by itself.
func (a *Agent) Close() error {
	a.halt()
	a.operations.Wait()
	a.tracer.Close()
	var errs []error
	if a.peers != nil {
		a.peers.Close()
	}
	if a.mesh != nil {
		errs = append(errs, a.mesh.Close())
	}
	for _, l := range []net.Listener{a.listener, a.socket} {
		if l != nil {
			if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
				errs = append(errs, err)
			}
		}
	}
	errs = append(errs, a.driver.Close())
	if a.journal != nil {
		errs = append(errs, a.journal.Close())
	}
	return errors.Join(errs...)
}

// Addr returns the address that the HTTPS API listens on.
func (a *Agent) Addr() string { return a.listener.Addr().String() }

// GossipAddr returns the address that gossip listens on.
func (a *Agent) GossipAddr() string { return a.mesh.GossipAddr() }

// HostID returns the id of the host that this agent speaks for.
func (a *Agent) HostID() fleet.HostID { return a.hostID }

func (a *Agent) name() string { return a.cfg.Name }

// dial opens a link to a peer.
func (a *Agent) dial(ctx context.Context, addr string, peer fleet.UUID) (net.Conn, error) {
	return a.identity.Dial(ctx, a.network, addr, peer, mesh.ALPN)
}
