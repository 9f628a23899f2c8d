package agent_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"grapevine/agent"
	"grapevine/api/client"
	"grapevine/drivers"
	"grapevine/drivers/simulated"
	"grapevine/fleet"
	"grapevine/identity"
)

// patience is how long a condition may take before a test gives up. It says
// nothing about speed: a loaded machine is slow.
const patience = 2 * time.Minute

// site is one host whose agent can be stopped and started again, as a machine
// that outlives its daemon.
type site struct {
	t          *testing.T
	hypervisor *simulated.Hypervisor
	cfg        agent.Config
	ca         *identity.CA
	id         fleet.HostID
	own        *identity.Identity
	key        []byte

	// wrap, if set, stands between the agent and its driver.
	wrap func(*simulated.Driver) drivers.Driver
	// life is how long a witness with a new journal waits; zero as in a fleet.
	life time.Duration

	*client.Client // as a registry
	agent          *agent.Agent
	halt           context.CancelFunc
	ended          chan error
}

// newSite starts an agent on a simulated host with the image tiny. The test's
// end stops it. Such tests mostly wait, so they run side by side.
func newSite(t *testing.T, change func(*agent.Config)) *site {
	t.Helper()
	return newSiteOn(t, firstBoard, change)
}

// firstBoard is the host of most tests.
var firstBoard = simulated.Config{Hardware: "board-1", Resources: fleet.Resources{VCPUs: 4, MemoryMiB: 4096, DiskGiB: 100}}

// newSiteOn is newSite on another hypervisor.
func newSiteOn(t *testing.T, host simulated.Config, change func(*agent.Config)) *site {
	t.Helper()
	t.Parallel()
	return newFleet(t, host, change)
}

// newFleet is a site of a fleet of its own, for a test that has one already.
func newFleet(t *testing.T, host simulated.Config, change func(*agent.Config)) *site {
	t.Helper()
	hypervisor, err := simulated.New(host)
	if err != nil {
		t.Fatal(err)
	}
	ca, err := identity.NewCA("test", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	s := &site{t: t, hypervisor: hypervisor, ca: ca, id: fleet.UUID{1}, key: identity.NewGossipKey(), life: time.Millisecond}
	s.configure("host-1", change)
	s.own = s.issue(identity.Agent, s.id)
	s.start()
	t.Cleanup(s.stop)
	image, content := tiny()
	if _, err := s.ImportImage(t.Context(), fleet.HostID{}, image, bytes.NewReader(content)); err != nil {
		t.Fatal(err)
	}
	return s
}

// configure gives the site's agent a configuration.
func (s *site) configure(name string, change func(*agent.Config)) {
	s.t.Helper()
	s.cfg = agent.Default()
	s.cfg.Name, s.cfg.Zone, s.cfg.DataDir = name, "a", s.t.TempDir()
	address := ownAddress() + ":0"
	s.cfg.Listen, s.cfg.GossipBind, s.cfg.Socket = address, address, ""
	s.cfg.ListEvery = 200 * time.Millisecond
	s.cfg.ReserveMemoryMiB, s.cfg.OvercommitVCPUs = 0, 1
	if change != nil {
		change(&s.cfg)
	}
}

var addresses atomic.Uint32

// ownAddress returns a loopback address that no other site has: a port that an
// agent leaves for a moment is still free when it starts again.
func ownAddress() string {
	n := addresses.Add(1)
	return netip.AddrFrom4([4]byte{127, 1, byte(n >> 8), byte(n)}).String()
}

func (s *site) issue(role identity.Role, id fleet.UUID) *identity.Identity {
	s.t.Helper()
	pair, err := s.ca.Issue(identity.Subject{Role: role, ID: id, Name: "test"}, time.Hour, time.Now())
	if err != nil {
		s.t.Fatal(err)
	}
	own, err := identity.New(s.ca.CertPEM(), pair, time.Now())
	if err != nil {
		s.t.Fatal(err)
	}
	return own
}

// make returns an agent of the site that does not run yet.
func (s *site) make(ready func()) (*agent.Agent, error) {
	connected := s.hypervisor.Connect()
	var driver drivers.Driver = connected
	if s.wrap != nil {
		driver = s.wrap(connected)
	}
	return agent.New(s.t.Context(), s.cfg, agent.Deps{
		Driver: driver, Credentials: identity.Credentials{Identity: s.own, GossipKey: s.key}, Log: slog.New(slog.DiscardHandler), Ready: ready, GrantLife: s.life,
	})
}

func (s *site) start() {
	s.t.Helper()
	ready := make(chan struct{})
	var err error
	if s.agent, err = s.make(func() { close(ready) }); err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.halt, s.ended = cancel, make(chan error, 1)
	go func() { s.ended <- s.agent.Run(ctx) }()
	select {
	case <-ready:
	case err := <-s.ended:
		s.ended <- err
		s.t.Fatalf("the agent ended at once: %v", err)
	case <-time.After(patience):
		s.t.Fatal("the agent is not ready")
	}
	registry := s.issue(identity.Registry, fleet.UUID{99})
	s.Client, err = client.New("https://"+s.agent.Addr(), client.Options{TLS: registry.ClientTLS(s.id, "http/1.1")})
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) stop() {
	s.t.Helper()
	s.halt()
	s.Client.Close()
	if err := <-s.ended; err != nil {
		s.t.Errorf("the agent ended with: %v", err)
	}
	s.ended <- nil
}

func (s *site) restart() {
	s.t.Helper()
	s.stop()
	s.start()
}

// row returns an instance as the agent shows it now; nil when it shows none.
func (s *site) row(id fleet.InstanceID) *fleet.Instance {
	s.t.Helper()
	row, err := s.Instance(s.t.Context(), id)
	if errors.Is(err, &fleet.Error{Code: fleet.CodeNotFound}) {
		return nil
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return &row
}

// host returns the host as the agent shows it now.
func (s *site) host() fleet.Host {
	s.t.Helper()
	host, err := s.Host(s.t.Context(), s.id)
	if err != nil {
		s.t.Fatal(err)
	}
	return host
}

// until waits for a condition.
func (s *site) until(what string, holds func() bool) {
	s.t.Helper()
	deadline := time.Now().Add(patience)
	for !holds() {
		if time.Now().After(deadline) {
			s.t.Fatalf("gave up waiting until %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// running waits until the instance runs and nothing is being done to it.
func (s *site) running(id fleet.InstanceID) fleet.Instance {
	s.t.Helper()
	var row *fleet.Instance
	s.until("instance runs", func() bool {
		row = s.row(id)
		return row != nil && row.Power == fleet.PowerRunning && row.Task == fleet.TaskNone
	})
	return *row
}

// code checks that err is a *fleet.Error with this code.
func code(t *testing.T, err error, want fleet.Code) {
	t.Helper()
	if got := fleet.CodeOf(err); got != want {
		t.Errorf("got error %v with code %q, want code %q", err, got, want)
	}
}

func tiny() (fleet.Image, []byte) {
	content := []byte("a disk")
	sum := sha256.Sum256(content)
	file := fleet.ImageFile{
		Role: fleet.RoleDisk, SHA256: hex.EncodeToString(sum[:]), Bytes: int64(len(content)), Format: "raw", VirtualBytes: int64(len(content)),
	}
	return fleet.Image{ID: file.SHA256, Name: "tiny", Files: []fleet.ImageFile{file}, Bytes: file.Bytes}, content
}

// proposal asks for an instance of so much memory.
func proposal(n byte, memory int64) fleet.Proposal {
	image, _ := tiny()
	return fleet.Proposal{
		Request: fleet.Request{
			ID: fleet.UUID{0xaa, n}, Name: "web", Project: "default", Flavor: "nano", Image: image.ID,
			Resources: fleet.Resources{VCPUs: 1, MemoryMiB: memory, DiskGiB: 1}, Labels: map[string]string{"tier": "front"},
		},
		RequestHash: hex.EncodeToString(bytes.Repeat([]byte{n}, 32)), Attempt: 1,
	}
}
