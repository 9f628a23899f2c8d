package netns_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"grapevine/fleet"
	"grapevine/test/built"
	"grapevine/test/netns"
)

// patience is how long a condition may take before a test gives up. It bounds
// a hang and judges no speed.
const patience = 3 * time.Minute

// binary is the program under test, built once.
var binary string

func TestMain(m *testing.M) { built.Main(m, &binary) }

// groups are the switches of a world; each has so many agents on it.
var groups = []string{"a", "b", "c"}

const perGroup = 4

// everything is the network that holds all groups.
var everything = netip.MustParsePrefix("10.77.0.0/16")

// network is where the hosts of a group are.
func network(group string) netip.Prefix {
	return netip.MustParsePrefix(fmt.Sprintf("10.77.%d.0/24", group[0]-'a'+1))
}

// world is a fleet on a lab: twelve agents in three groups, and a registry in
// the first one.
type world struct {
	t        *testing.T
	dir      string
	lab      *netns.Lab
	seeds    []string // gossip addresses to join through
	agents   []*node
	registry *node
	machines map[fleet.InstanceID]string // the instances made, and the hosts they are on
}

// node is an agent or the registry, in a process of its own at a host of its
// own.
type node struct {
	w     *world
	name  string
	group string
	role  string
	host  *netns.Host
	*built.Daemon
}

// newWorld starts a whole fleet with one machine on every host, and waits until
// every node shows all of it.
func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, lab: netns.New(t), dir: t.TempDir(), machines: map[fleet.InstanceID]string{}}
	w.cli(nil, "tls", "init", "--dir", w.path("ca"), "--fleet", "lab")
	for _, g := range groups {
		w.lab.Switch(g)
	}
	for i := range perGroup {
		for _, g := range groups {
			w.agents = append(w.agents, w.newNode("agent", fmt.Sprintf("%s%d", g, i+1), g, i+1))
		}
	}
	w.registry = w.newNode("registry", "registry", "a", perGroup+1)
	for _, n := range w.all() {
		n.launch()
	}
	w.eventually("the fleet is whole", w.all(), func(n *node) error { return n.whole() })
	w.populate()
	return w
}

// all returns every node.
func (w *world) all() []*node { return append([]*node{w.registry}, w.agents...) }

// in returns the nodes of some groups.
func (w *world) in(groups string) []*node {
	var some []*node
	for _, n := range w.all() {
		if strings.Contains(groups, n.group) {
			some = append(some, n)
		}
	}
	return some
}

// agent returns the agent with this name.
func (w *world) agent(name string) *node {
	w.t.Helper()
	for _, n := range w.agents {
		if n.name == name {
			return n
		}
	}
	w.t.Fatalf("no agent is named %s", name)
	return nil
}

func (w *world) path(parts ...string) string {
	return filepath.Join(append([]string{w.dir}, parts...)...)
}

// newNode makes a node that does not run yet.
func (w *world) newNode(role, name, group string, number int) *node {
	w.t.Helper()
	ip := network(group).Addr().As4()
	ip[3] = byte(number)
	addr := netip.AddrFrom4(ip)
	n := &node{w: w, name: name, group: group, role: role, host: w.lab.Host(name, group, netip.PrefixFrom(addr, everything.Bits()))}
	w.cli(nil, "tls", "issue", "--dir", w.path("ca"), "--role", role, "--name", name, "--id", newID(), "--out", w.path(name))
	var b strings.Builder
	fmt.Fprintf(&b, "name = %q\nlog_level = \"debug\"\n", name)
	fmt.Fprintf(&b, "tls_ca = %q\ntls_cert = %q\ntls_key = %q\ngossip_key_file = %q\n",
		w.path(name, "ca.pem"), w.path(name, role+".pem"), w.path(name, role+"-key.pem"), w.path("ca", "gossip.key"))
	if role == "agent" {
		fmt.Fprintf(&b, "listen = \"%s:7947\"\ngossip_bind = \"%s:7946\"\n", addr, addr)
		fmt.Fprintf(&b, "data_dir = %q\nsocket = %q\nreserve_memory_mib = 0\n", w.path(name, "data"), n.socket())
		fmt.Fprintf(&b, "driver = \"simulated\"\nsimulated_dir = %q\nsimulated_memory_mib = 4096\n", w.path(name, "hypervisor"))
	} else {
		fmt.Fprintf(&b, "gossip_bind = \"%s:7949\"\n", addr)
	}
	fmt.Fprintf(&b, "join = [%s]\n", strings.Join(w.seeds, ", "))
	if number == 1 { // one of each group
		w.seeds = append(w.seeds, fmt.Sprintf("%q", addr))
	}
	if err := os.WriteFile(w.path(name+".toml"), []byte(b.String()), 0o600); err != nil {
		w.t.Fatal(err)
	}
	return n
}

func newID() string {
	var random [16]byte
	for i := range random {
		random[i] = byte(rand.Uint32())
	}
	return fleet.NewUUIDv4(random).String()
}

// populate makes a machine on every host.
func (w *world) populate() {
	w.t.Helper()
	file := w.path("tiny.raw")
	if err := os.WriteFile(file, bytes.Repeat([]byte("disk"), 1024), 0o600); err != nil {
		w.t.Fatal(err)
	}
	w.registry.do("image", "import", "--name", "tiny", "--disk", file, "--format", "raw", "--all-hosts")
	for _, n := range w.agents {
		w.eventually(n.name+" has the image", []*node{w.registry}, func(r *node) error {
			_, stderr, code := r.cli("instance", "create", "--name", "vm-"+n.name, "--key", n.name, "--host", n.name,
				"--flavor", "nano", "--image", "tiny", "--wait", "60s")
			if code != 0 {
				return errors.New(stderr)
			}
			return nil
		})
	}
	for _, row := range w.registry.instances().Items {
		w.machines[row.ID] = row.HostName
	}
	if len(w.machines) != len(w.agents) {
		w.t.Fatalf("%d machines were made on %d hosts", len(w.machines), len(w.agents))
	}
	w.merged()
}

// socket is where an agent's API is for root, in any network namespace.
func (n *node) socket() string { return n.w.path(n.name, "agent.sock") }

// launch starts the process; it ends with the test.
func (n *node) launch() {
	n.w.t.Helper()
	cmd := n.host.Command(context.Background(), binary, n.role, "--config", n.w.path(n.name+".toml")) // the test's cleanup ends it
	n.Daemon = built.Start(n.w.t, cmd, n.name, n.log())
}

// kill is kill -9, without waiting for the end.
func (n *node) kill() {
	n.w.t.Helper()
	if err := n.Cmd.Process.Kill(); err != nil {
		n.w.t.Fatal(err)
	}
}

func (n *node) log() string { return n.w.path(n.name + ".log") }

// cli runs the command line against the node: an agent through its socket, and
// the registry on the loopback of its own host.
func (n *node) cli(args ...string) (stdout, stderr string, code int) {
	n.w.t.Helper()
	ctx, cancel := context.WithTimeout(n.w.t.Context(), patience)
	defer cancel()
	cmd, addr := exec.CommandContext(ctx, binary, args...), "unix://"+n.socket()
	if n.role == "registry" {
		cmd, addr = n.host.Command(ctx, binary, args...), "http://127.0.0.1:7948"
	}
	return built.Run(n.w.t, cmd, n.w.dir, "GRAPEVINE_ADDR="+addr)
}

// cli runs a command that needs no node and must succeed.
func (w *world) cli(env []string, args ...string) {
	w.t.Helper()
	if _, stderr, code := built.Run(w.t, exec.CommandContext(w.t.Context(), binary, args...), w.dir, env...); code != 0 {
		w.t.Fatalf("grapevine %s: exit code %d: %s", strings.Join(args, " "), code, stderr)
	}
}

// do runs a command that must succeed, and returns what it printed.
func (n *node) do(args ...string) string {
	n.w.t.Helper()
	stdout, stderr, code := n.cli(args...)
	if code != 0 {
		n.w.t.Fatalf("at %s: grapevine %s: exit code %d: %s", n.name, strings.Join(args, " "), code, stderr)
	}
	return stdout
}

// read asks the node for JSON.
func read[T any](n *node, args ...string) (T, error) {
	n.w.t.Helper()
	var v T
	stdout, stderr, code := n.cli(append(args, "-o", "json")...)
	if code != 0 {
		return v, fmt.Errorf("grapevine %s: exit code %d: %s", strings.Join(args, " "), code, stderr)
	}
	return v, json.Unmarshal([]byte(stdout), &v)
}

// eventually waits until holds returns nil at each of the nodes, and says how
// long the last of them took.
func (w *world) eventually(what string, at []*node, holds func(*node) error) time.Duration {
	w.t.Helper()
	began := time.Now()
	for _, n := range at {
		for {
			err := holds(n)
			if err == nil {
				break
			}
			select {
			case <-n.Ended:
				w.t.Fatalf("gave up waiting until %s: %s has ended", what, n.name)
			case <-time.After(50 * time.Millisecond):
			}
			if time.Since(began) > patience {
				w.t.Fatalf("gave up waiting until %s, at %s: %v", what, n.name, err)
			}
		}
	}
	return time.Since(began)
}
