package proofs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"testing/synctest"
	"time"

	"grapevine/agent"
	"grapevine/agent/journal"
	"grapevine/api/client"
	"grapevine/drivers"
	"grapevine/drivers/simulated"
	"grapevine/fleet"
	"grapevine/identity"
)

// Host is one host: a hypervisor, and an agent through all its lives.
type Host struct {
	Name       string
	ID         fleet.HostID
	Hypervisor *simulated.Hypervisor
	// Client asks the agent of the present life.
	Client *client.Client

	w     *World
	size  fleet.Resources
	own   *identity.Identity
	place place
	dir   string // what the present life, or the next one, has on its disk
	life  *life  // nil while it is down

	points *points // that the present life comes by
}

// life is a process: an agent's or a registry's.
type life struct {
	ready  atomic.Bool
	cancel context.CancelFunc
	driver drivers.Driver // nil of a registry
	ended  chan error
}

func (w *World) newHost(n int, size fleet.Resources) *Host {
	w.t.Helper()
	h := &Host{Name: fmt.Sprintf("host-%02d", n), ID: fleet.UUID{1, byte(n >> 8), byte(n), 15: 1}, w: w, size: size}
	h.place = place{net: w.net, name: fmt.Sprintf("10.0.%d.%d", n/250, n%250+1)}
	var err error
	kind := []fleet.Hypervisor{fleet.KVM, fleet.Xen, fleet.ESXi}[n%3]
	if h.Hypervisor, err = simulated.New(simulated.Config{Hypervisor: kind, Resources: size, Hardware: "board-" + h.Name, Latency: &slow}); err != nil {
		w.t.Fatal(err)
	}
	// The id of an ESXi host is its hardware's.
	d, err := h.Hypervisor.Connect().Describe(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	if !d.HostID.IsZero() {
		h.ID = d.HostID
	}
	h.own = w.issue(identity.Agent, h.ID, h.Name)
	return h
}

// slow is how long things take: long enough to be met in their middle.
var slow = simulated.Latency{Call: time.Millisecond, BuildStep: 50 * time.Millisecond, Boot: 500 * time.Millisecond, Shutdown: 2 * time.Second}

// Up reports whether the host's agent lives.
func (h *Host) Up() bool { return h.life != nil }

// Ready reports whether the agent serves and others can see its host.
func (h *Host) Ready() bool { return h.Up() && h.life.ready.Load() }

// Start begins a life of the agent, with what the last one left on the disk.
func (h *Host) Start() {
	h.w.t.Helper()
	if h.dir == "" {
		h.dir = h.newDir()
	}
	cfg := agent.Default()
	cfg.Name, cfg.DataDir, cfg.Socket = h.Name, h.dir, ""
	cfg.Listen, cfg.GossipBind = h.place.name+":7947", h.place.name+":7946"
	cfg.Join = []string{"10.0.0.1", "10.0.0.2"}
	cfg.ReserveMemoryMiB, cfg.OvercommitVCPUs = 0, 1
	driver, passed := h.Hypervisor.Connect(), newPoints()
	driver.Tell(func(at simulated.Step) { passed.pass(string(at)) })
	l := &life{ended: make(chan error, 1), driver: driver}
	a, err := agent.New(context.Background(), cfg, agent.Deps{
		Driver: l.driver, Credentials: identity.Credentials{Identity: h.own, GossipKey: h.w.key}, Log: h.w.log,
		Network: &h.place, Membership: h.w.roster.of, Ready: func() { l.ready.Store(true) },
		Steps: func(at journal.Step) { passed.pass(string(at)) },
	})
	if err != nil {
		h.w.t.Fatalf("start the agent of %s: %v", h.Name, err)
	}
	h.w.net.Restore(h.place.name)
	var ctx context.Context
	ctx, l.cancel = context.WithCancel(context.Background())
	go func() { l.ended <- a.Run(ctx) }()
	h.life, h.Client, h.points = l, h.w.client(cfg.Listen, h.ID), passed
}

// Kill ends the agent as kill -9 or a power cut does: nothing more of it
// reaches the network, the hypervisor or the disk. The machines go on.
func (h *Host) Kill() {
	h.w.t.Helper()
	synctest.Wait()
	next := h.newDir()
	if err := os.CopyFS(next, os.DirFS(h.dir)); err != nil {
		h.w.t.Fatalf("keep the disk of %s: %v", h.Name, err)
	}
	h.w.net.Isolate(h.place.name)
	h.w.roster.stop(h.ID)
	h.Client.Close()
	h.letGo()
	h.life.end(h.w, h.Name)
	h.life = nil
	_ = os.RemoveAll(h.dir)
	h.dir = next
}

// letGo ends what stands still at a point, which finds nothing any more that it
// could do something to.
func (h *Host) letGo() {
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		_ = h.life.driver.Close()
	}()
	synctest.Wait()
	close(h.points.over)
	<-closed
}

// end ends a process and says if it would not.
func (l *life) end(w *World, name string) {
	w.t.Helper()
	l.cancel()
	select {
	case err := <-l.ended:
		w.log.Debug("a node was killed", "name", name, "error", err) // it complains that its network is gone
	case <-time.After(5 * time.Minute):
		w.t.Fatalf("%s does not end", name)
	}
}

var errEnded = errors.New("nobody ended it")

// Died returns how the agent ended by itself, nil while it lives.
func (h *Host) Died() error {
	if h.life == nil {
		return nil
	}
	select {
	case err := <-h.life.ended:
		h.life.ended <- err
		return fmt.Errorf("the agent of %s ended by itself: %w", h.Name, errors.Join(err, errEnded))
	default:
		return nil
	}
}

func (h *Host) newDir() string {
	h.w.t.Helper()
	dir, err := os.MkdirTemp(h.w.dir, h.ID.String())
	if err != nil {
		h.w.t.Fatal(err)
	}
	return dir
}

func (h *Host) giveImage() {
	h.w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if _, err := h.Client.ImportImage(ctx, h.ID, h.w.image, bytes.NewReader(h.w.content)); err != nil {
		h.w.t.Fatalf("give %s the image: %v", h.Name, err)
	}
}

// isQuiet reports whether the agent is up and says that nothing is being done
// to an instance.
func (h *Host) isQuiet(id fleet.InstanceID) bool {
	if !h.Ready() {
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	row, err := h.Client.Instance(ctx, id)
	return err == nil && row.Task == fleet.TaskNone && row.Power == fleet.PowerRunning
}

// machine returns an instance's machine on the host's hypervisor, nil where
// there is none.
func (h *Host) machine(id fleet.InstanceID) *drivers.Machine {
	for _, m := range h.Hypervisor.Machines() {
		if m.ID == id {
			return &m
		}
	}
	return nil
}
