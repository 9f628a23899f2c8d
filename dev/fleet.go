package dev

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"grapevine/agent"
	"grapevine/api"
	"grapevine/api/client"
	"grapevine/drivers/esxi/vcsim"
	"grapevine/fleet"
	"grapevine/identity"
	"grapevine/internal/rungroup"
	"grapevine/internal/settings"
	"grapevine/internal/tracing"
	"grapevine/registry"
)

// Config says how large a fleet to assemble.
type Config struct {
	// Hosts is how many hosts there are: by turns KVM, Xen and ESXi.
	Hosts int
	// Listen is the registry's address, on loopback.
	Listen string
	Log    *slog.Logger
	// FrontEnds are served beside the native API, all of them.
	FrontEnds []api.FrontEnd
	// Tracing is where the traces of all nodes go; the zero value is nowhere.
	Tracing tracing.Settings
}

// MaxHosts bounds a fleet in one process: each host takes some 15 goroutines
// of gossip, and joining grows with the square of their number.
const MaxHosts = 200

// Fleet is a fleet in one process. Start makes it, Run lives it.
type Fleet struct {
	cfg       Config
	folder    string
	ca        *identity.CA
	gossipKey []byte
	hosts     []*host
	registry  *registry.Registry
	ready     chan struct{}
	ran       bool
}

// host is one host of the fleet.
type host struct {
	machine
	agent *agent.Agent
	ready chan struct{}
}

// New makes the fleet and binds its sockets. Close it if it is not run.
func New(ctx context.Context, cfg Config) (*Fleet, error) {
	if cfg.Hosts < 1 || cfg.Hosts > MaxHosts {
		return nil, fmt.Errorf("hosts is %d; it must be 1 to %d", cfg.Hosts, MaxHosts)
	}
	f := &Fleet{cfg: cfg, gossipKey: identity.NewGossipKey(), ready: make(chan struct{})}
	if err := f.assemble(ctx); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func (f *Fleet) assemble(ctx context.Context) error {
	var err error
	if f.folder, err = os.MkdirTemp("", "grapevine-dev-"); err != nil {
		return fmt.Errorf("make a temporary folder: %w", err)
	}
	if f.ca, err = identity.NewCA("dev", time.Now()); err != nil {
		return err
	}
	// The registry comes first: its port is the one that may be in use.
	if err := f.addRegistry(); err != nil {
		return err
	}
	for i := range f.cfg.Hosts {
		if err := f.addHost(ctx, i); err != nil {
			return err
		}
	}
	return nil
}

func (f *Fleet) addRegistry() error {
	cfg := registry.Default()
	cfg.Name = "registry-1"
	cfg.Listen = f.cfg.Listen
	cfg.GossipBind = "127.0.0.1:0"
	cfg.Settings = f.cfg.Tracing
	id, err := f.issue(identity.Registry, cfg.Name, newID())
	if err != nil {
		return err
	}
	if cfg.UsersFile, err = writeUsers(f.folder); err != nil {
		return err
	}
	cfg.Frontend = map[string]settings.Table{}
	for _, front := range f.cfg.FrontEnds {
		cfg.Frontend[front.Name] = settings.Table{}
	}
	f.registry, err = registry.New(cfg, registry.Deps{Credentials: f.credentials(id), Log: f.cfg.Log, FrontEnds: f.cfg.FrontEnds, OpenLoopback: true})
	return err
}

func (f *Fleet) addHost(ctx context.Context, i int) error {
	kind := []fleet.Hypervisor{fleet.KVM, fleet.Xen, fleet.ESXi}[i%3]
	h := &host{ready: make(chan struct{})}
	var err error
	if h.machine, err = newMachine(kind, fmt.Sprintf("%s-%d", kind, i/3+1), f.cfg.Log); err != nil {
		return err
	}
	f.hosts = append(f.hosts, h)
	id, err := f.issue(identity.Agent, h.name, h.id)
	if err != nil {
		return err
	}
	cfg := agent.Default()
	cfg.Name = h.name
	cfg.Zone = string(rune('a' + i%2))
	cfg.DataDir = filepath.Join(f.folder, h.name)
	cfg.Listen, cfg.GossipBind, cfg.Socket = "127.0.0.1:0", "127.0.0.1:0", ""
	cfg.Join = []string{f.registry.GossipAddr()}
	cfg.Settings = f.cfg.Tracing
	h.agent, err = agent.New(ctx, cfg, agent.Deps{
		Driver: h.driver, Credentials: f.credentials(id), Log: f.cfg.Log,
		Ready: func() { close(h.ready) },
	})
	return err
}

func (f *Fleet) issue(role identity.Role, name string, id fleet.UUID) (*identity.Identity, error) {
	now := time.Now()
	pair, err := f.ca.Issue(identity.Subject{Role: role, ID: id, Name: name}, certificateLife, now)
	if err != nil {
		return nil, err
	}
	return identity.New(f.ca.CertPEM(), pair, now, role)
}

func (f *Fleet) credentials(id *identity.Identity) identity.Credentials {
	return identity.Credentials{Identity: id, GossipKey: f.gossipKey}
}

// certificateLife outlasts any demonstration.
const certificateLife = 30 * 24 * time.Hour

func newID() fleet.UUID {
	var random [16]byte
	_, _ = rand.Read(random[:]) // never fails: see crypto/rand
	return fleet.NewUUIDv4(random)
}

// Addr returns the registry's address.
func (f *Fleet) Addr() string { return f.registry.Addr() }

// Ready is closed when the registry answers for every host.
func (f *Fleet) Ready() <-chan struct{} { return f.ready }

// Run lives the fleet until ctx ends or a part of it fails, and leaves nothing
// behind.
func (f *Fleet) Run(ctx context.Context) error {
	f.ran = true // each part closes itself
	var group rungroup.Group
	group.Defer("folder", func(context.Context) error { return f.Close() })
	group.Add("registry", f.registry.Run)
	for _, h := range f.hosts {
		group.Add(h.name, h.agent.Run)
	}
	group.Add("furnish", f.furnish)
	return group.Run(ctx, stopGrace)
}

// stopGrace bounds the end of the whole fleet.
const stopGrace = 30 * time.Second

// furnish waits until every host is heard, gives each the image "tiny", and
// says that the fleet is ready.
func (f *Fleet) furnish(ctx context.Context) error {
	image, content := vcsim.TinyImage()
	var wg sync.WaitGroup
	errs := make([]error, len(f.hosts))
	for i, h := range f.hosts {
		wg.Go(func() {
			select {
			case <-ctx.Done():
				errs[i] = ctx.Err()
			case <-h.ready:
				_, errs[i] = h.agent.ImportImage(ctx, fleet.HostID{}, image, bytes.NewReader(content))
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil || ctx.Err() != nil {
		return err
	}
	if err := f.await(ctx, image.ID); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	close(f.ready)
	<-ctx.Done()
	return nil
}

// await blocks until the registry, asked as anyone asks it, is ready and shows
// every host with the image.
func (f *Fleet) await(ctx context.Context, image string) error {
	asker, err := client.New("http://"+f.Addr(), client.Options{})
	if err != nil {
		return err
	}
	defer asker.Close()
	tick := time.NewTicker(readyPoll)
	defer tick.Stop()
	for {
		if asker.Ready(ctx) == nil && f.furnished(ctx, asker, image) {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// readyPoll is how often the registry is asked whether it is ready.
const readyPoll = 25 * time.Millisecond

func (f *Fleet) furnished(ctx context.Context, asker *client.Client, image string) bool {
	hosts, err := asker.Hosts(ctx)
	if err != nil || len(hosts.Items) != len(f.hosts) {
		return false
	}
	for i := range hosts.Items {
		if !hosts.Items[i].HoldsImage(image) || hosts.Items[i].Reachability != fleet.ReachOK {
			return false
		}
	}
	return true
}

// Close releases what New took; after Run there is nothing left to release.
func (f *Fleet) Close() error {
	var errs []error
	for _, h := range f.hosts {
		if h.agent != nil && !f.ran {
			errs = append(errs, h.agent.Close())
		}
		h.close()
	}
	if f.registry != nil && !f.ran {
		errs = append(errs, f.registry.Close())
	}
	if f.folder != "" {
		errs = append(errs, os.RemoveAll(f.folder))
	}
	return errors.Join(errs...)
}
