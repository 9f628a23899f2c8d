package bench

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"

	"grapevine/fleet"
	"grapevine/identity"
	"grapevine/mesh"
	"grapevine/mesh/meshtest"
)

// crowdVariable holds the wish of a process of this test binary that is to be
// a crowd of members instead of running tests.
const crowdVariable = "GRAPEVINE_BENCH_CROWD"

// crowd is many members of a mesh in one process: the shipped mesh with TLS
// and Serf, without agents around it. Member i has the ports GossipPort + i
// and LinkPort + i.
type crowd struct {
	CA, CAKey, GossipKey string // files
	Address              string
	Count                int
	GossipPort, LinkPort int
	Machines             int // that each host tells of
}

const (
	// breath is how long the crowd waits between two members, and longer until it
	// spends less than half of the machine in one and is late for the next by less
	// than lateness. Members probe each other within 200 ms: of those that wait for
	// a processor for longer some are suspected, all gossip about that, and then
	// nobody has a processor left for anything else.
	breath, lateness = 150 * time.Millisecond, 30 * time.Millisecond
	// crowded is for how long the crowd waits for that before it gives up.
	crowded = 20 * time.Second
)

// beCrowd lives the crowd until its standard input ends, and says how many there
// are when all run and have come to rest, or how many were too many for that.
func beCrowd(wish string) error {
	var c crowd
	if err := json.Unmarshal([]byte(wish), &c); err != nil {
		return fmt.Errorf("read %s: %w", crowdVariable, err)
	}
	ca, err := identity.LoadCA(c.CA, c.CAKey)
	if err != nil {
		return err
	}
	key, err := identity.LoadGossipKey(c.GossipKey)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	go func() { // ends with the process at the latest
		_, _ = io.Copy(io.Discard, os.Stdin) // the benchmark's end, however it comes, closes it
		stop()
	}()
	var members sync.WaitGroup
	defer members.Wait()
	for i := range c.Count {
		m, err := c.member(ctx, ca, key, i)
		if err != nil {
			stop()
			return err
		}
		members.Go(func() { m(ctx) })
		if !atRest(ctx) {
			fmt.Println(i+1, tooMany)
			stop()
			return nil
		}
	}
	fmt.Println(c.Count, allAtRest)
	<-ctx.Done()
	return nil
}

// What the crowd says after its number.
const (
	allAtRest = "at-rest"
	tooMany   = "too-many"
)

// atRest waits until the members that there are have come to rest, as a fleet
// grows one host after the other. It returns false when they do not.
func atRest(ctx context.Context) bool {
	for began := time.Now(); time.Since(began) < crowded; {
		before, spent := time.Now(), ownTime()
		select {
		case <-ctx.Done():
			return false
		case <-time.After(breath):
		}
		took := time.Since(before)
		if took < breath+lateness && ownTime()-spent < took*time.Duration(runtime.NumCPU())/2 {
			return true
		}
	}
	return false
}

// ownTime returns the processor time that this process has spent.
func ownTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err) // as it is called here, it cannot fail
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// member returns what lives member i.
func (c *crowd) member(ctx context.Context, ca *identity.CA, key []byte, i int) (func(context.Context), error) {
	now := time.Now()
	subject := identity.Subject{Role: identity.Agent, ID: newID(), Name: fmt.Sprintf("peer-%d", i), Hosts: nil}
	pair, err := ca.Issue(subject, 24*time.Hour, now)
	if err != nil {
		return nil, err
	}
	self, err := identity.New(ca.CertPEM(), pair, now, identity.Agent)
	if err != nil {
		return nil, err
	}
	api := fmt.Sprintf("%s:%d", c.Address, c.LinkPort+i)
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", api)
	if err != nil {
		return nil, err
	}
	cfg := mesh.Config{
		ID: subject.ID, Name: subject.Name, Role: fleet.RoleAgent, Label: self.Subject().Fleet, API: api, Key: key,
		GossipBind: fmt.Sprintf("%s:%d", c.Address, c.GossipPort+i), Epochs: &meshtest.Epochs{}, Hardware: subject.ID.String(),
		Dial: func(ctx context.Context, addr string, peer fleet.UUID) (net.Conn, error) {
			return self.Dial(ctx, &net.Dialer{}, addr, peer, mesh.ALPN)
		},
	}
	for seed := range min(i, 3) {
		cfg.Join = append(cfg.Join, fmt.Sprintf("%s:%d", c.Address, c.GossipPort+seed))
	}
	m, err := mesh.New(cfg)
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	m.Publish(c.state(subject, api))
	return func(ctx context.Context) { live(ctx, m, listener, self) }, nil
}

// live runs a member and accepts its links until ctx ends.
func live(ctx context.Context, m *mesh.Mesh, listener net.Listener, self *identity.Identity) {
	var wg sync.WaitGroup
	defer wg.Wait()
	settings := self.ServerTLS(mesh.ALPN)
	wg.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { welcome(ctx, m, tls.Server(conn, settings)) })
		}
	})
	if err := m.Run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	_ = listener.Close()
}

func welcome(ctx context.Context, m *mesh.Mesh, conn *tls.Conn) {
	within, cancel := context.WithTimeout(ctx, 10*time.Second)
	err := conn.HandshakeContext(within)
	cancel()
	if err != nil {
		_ = conn.Close()
		return
	}
	peer, err := identity.PeerOf(conn.ConnectionState())
	if err != nil {
		_ = conn.Close()
		return
	}
	m.Accept(ctx, conn, peer.ID)
}

// state is what a member of the crowd says of its host: it is full of machines
// that stay as they are.
func (c *crowd) state(self identity.Subject, api string) mesh.State {
	s := mesh.State{Host: fleet.Host{
		ID: self.ID, Name: self.Name, Zone: "zone-1", Hypervisor: fleet.KVM, HypervisorVersion: "9.0.0", State: fleet.HostOK,
		Capacity: fleet.NewCapacity(fleet.Resources{VCPUs: 128, MemoryMiB: 1 << 20, DiskGiB: 8000}, fleet.Resources{}, fleet.Resources{VCPUs: 2 * int64(c.Machines)}),
		Traits:   []string{"boot-disk", "boot-kernel", "console-log", "pause"}, API: api, AgentVersion: "bench",
		Hardware: self.ID.String(), Instances: c.Machines, ObservedAt: time.Now(),
	}}
	for n := range c.Machines {
		s.Instances = append(s.Instances, fleet.Instance{
			ID: newID(), Name: fmt.Sprintf("%s-vm-%d", self.Name, n), Project: "default", Hypervisor: fleet.KVM,
			Ownership: fleet.Managed, Power: fleet.PowerRunning, Flavor: "small", VCPUs: 2, MemoryMiB: 2048, DiskGiB: 20,
			Addresses: []string{fmt.Sprintf("10.1.%d.%d", n/256, n%256)}, CreatedAt: time.Now(), ObservedAt: time.Now(), Generation: 1,
		})
	}
	return s
}
