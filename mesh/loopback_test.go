package mesh_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"grapevine/fleet"
	"grapevine/mesh"
	"grapevine/mesh/meshtest"
)

// node is one member on loopback sockets, its links plain TCP.
type node struct {
	*mesh.Mesh
	id     fleet.UUID
	cancel context.CancelFunc
	done   chan error
}

// fleetOnLoopback returns the group that a test's nodes end in; the test waits
// for it.
func fleetOnLoopback(t *testing.T) *sync.WaitGroup {
	t.Helper()
	wg := &sync.WaitGroup{}
	t.Cleanup(wg.Wait)
	return wg
}

func nodeID(n int) fleet.UUID { return fleet.NewUUIDv5(fleet.UUID{1}, fmt.Sprint("node ", n)) }

func startNode(t *testing.T, n int, role fleet.Role, join ...string) *node {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cfg := mesh.Config{
		ID: nodeID(n), Name: fmt.Sprintf("host-%d", n), Role: role, API: listener.Addr().String(),
		GossipBind: "127.0.0.1:0", Key: make([]byte, 32), Join: join, Hardware: fmt.Sprint("machine ", n),
		Dial: func(ctx context.Context, addr string, _ fleet.UUID) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp", addr)
		},
	}
	if role == fleet.RoleAgent {
		cfg.Epochs = &meshtest.Epochs{}
	}
	m, err := mesh.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background()) // ends in the cleanup, with a good bye
	x := &node{Mesh: m, id: cfg.ID, cancel: cancel, done: make(chan error, 1)}
	go func() { x.done <- m.Run(ctx) }()
	var accepts sync.WaitGroup
	accepts.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			accepts.Go(func() { m.Accept(ctx, conn, fleet.UUID{}) })
		}
	})
	fleetOnLoopback(t).Go(func() {
		<-t.Context().Done() // just before the cleanups: all nodes leave at once
		cancel()
		if err := <-x.done; err != nil && !errors.Is(err, mesh.ErrCloned) {
			t.Errorf("node %d: %v", n, err)
		}
		_ = listener.Close()
		accepts.Wait()
	})
	return x
}

func stateOf(n, instances int) mesh.State {
	s := mesh.State{Host: fleet.Host{
		ID: nodeID(n), Name: fmt.Sprintf("host-%d", n), Hypervisor: fleet.KVM, State: fleet.HostOK,
		Instances: instances, Hardware: fmt.Sprint("machine ", n),
	}}
	for i := range instances {
		s.Instances = append(s.Instances, fleet.Instance{
			ID: fleet.NewUUIDv5(nodeID(n), fmt.Sprint(i)), Name: fmt.Sprintf("vm-%d-%d", n, i), Power: fleet.PowerRunning,
		})
	}
	return s
}

// eventually waits for a condition, with a deadline that only a broken node
// reaches.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("timed out waiting until %s", what)
		}
		time.Sleep(5 * time.Millisecond) // real sockets, real time
	}
}

func TestFiveNodesOnLoopbackHoldOneFleet(t *testing.T) {
	nodes := []*node{startNode(t, 0, fleet.RoleAgent)}
	seed := nodes[0].GossipAddr()
	for n := 1; n < 4; n++ {
		nodes = append(nodes, startNode(t, n, fleet.RoleAgent, seed))
	}
	for n, x := range nodes {
		x.Publish(stateOf(n, n))
	}
	registry := startNode(t, 9, fleet.RoleRegistry, seed)
	all := append(nodes, registry)
	eventually(t, "every node holds every host", func() bool {
		for _, x := range all {
			if x.Replica().Len() != 4 || x.Replica().Root() != registry.Replica().Root() {
				return false
			}
		}
		return true
	})
	eventually(t, "the registry is ready", func() bool { return registry.Ready() == nil })

	at := nodes[1].Publish(stateOf(1, 7))
	eventually(t, "a new version is seen at the registry", func() bool {
		return registry.Replica().Version(nodes[1].id).AtLeast(at)
	})
	count := 0
	for in := range registry.Replica().Block(nodes[1].id).Instances() {
		if in.Power != fleet.PowerRunning {
			t.Errorf("instance %s is %s", in.Name, in.Power)
		}
		count++
	}
	if count != 7 {
		t.Errorf("the registry sees %d instances, want 7", count)
	}
	for _, x := range all {
		eventually(t, "every node knows five members", func() bool { return len(x.Members()) == 5 })
	}
}

func TestPortInUseSaysWhatToDo(t *testing.T) {
	first := startNode(t, 0, fleet.RoleAgent)
	_, err := mesh.New(mesh.Config{
		ID: nodeID(1), Role: fleet.RoleAgent, GossipBind: first.GossipAddr(), Epochs: &meshtest.Epochs{},
		Dial: func(context.Context, string, fleet.UUID) (net.Conn, error) { return nil, net.ErrClosed },
	})
	if err == nil || !errors.Is(err, syscall.EADDRINUSE) {
		t.Fatalf("a port in use gave %v", err)
	}
	for _, word := range []string{first.GossipAddr(), "in use", "another port"} {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("the error %q does not say %q", err, word)
		}
	}
}

// What a node is filled with comes in frames that are merged beside the next
// one; changes that follow must not overtake them.
func TestNodeThatIsFilledHoldsWhatCameAfterToo(t *testing.T) {
	first := startNode(t, 0, fleet.RoleAgent)
	second := startNode(t, 1, fleet.RoleAgent, first.GossipAddr())
	eventually(t, "the agents may publish", func() bool { return first.Settled() && second.Settled() })
	first.Publish(stateOf(0, 3000))
	second.Publish(stateOf(1, 2000))
	registry := startNode(t, 9, fleet.RoleRegistry, first.GossipAddr())
	var last fleet.Version
	for n := range 20 {
		last = first.Publish(stateOf(0, 2990+n%10))
		eventually(t, "the other agent holds it", func() bool { return second.Replica().Version(first.id).AtLeast(last) })
	}
	eventually(t, "the registry holds what the agents do", func() bool {
		return registry.Replica().Version(first.id).AtLeast(last) && registry.Replica().Root() == second.Replica().Root()
	})
	if b := registry.Replica().Block(first.id); b == nil || b.Len()-b.Pages() != 1+2999 {
		t.Error("the registry holds other rows than were stated last")
	}
}
