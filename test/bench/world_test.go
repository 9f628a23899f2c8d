package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"grapevine/api/client"
	"grapevine/fleet"
	"grapevine/identity"
	"grapevine/test/built"
	"grapevine/test/netns"
)

// patience is how long a condition may take before a benchmark gives up. It
// bounds a hang and judges no speed.
const patience = 2 * time.Minute

// world is a fleet of processes on a loopback network of its own, 127.x.y.0/24,
// so that each node has the ports that it has in real life.
type world struct {
	b      *testing.B
	dir    string
	binary string
	subnet string
	ca     *identity.CA
	seeds  []string // gossip addresses to join through
	nodes  []*node
}

// node is an agent or a registry in a process of its own.
type node struct {
	w      *world
	name   string
	role   identity.Role
	ip     string
	config string
	host   *netns.Host // where it runs; nil for this machine itself
	cmd    *exec.Cmd
	ended  chan struct{} // closed when the process is gone
}

func newWorld(b *testing.B) *world {
	b.Helper()
	path, err := binary()
	must(b, err)
	w := &world{b: b, dir: b.TempDir(), binary: path, subnet: freeSubnet(b)}
	w.ca, err = identity.NewCA("bench", time.Now())
	must(b, err)
	must(b, identity.WriteNew(w.path("ca.pem"), w.ca.CertPEM(), 0o644))
	must(b, identity.WriteGossipKey(w.path("gossip.key"), identity.NewGossipKey()))
	return w
}

func must(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func (w *world) path(name string) string { return filepath.Join(w.dir, name) }

// freeSubnet finds a part of the loopback network that nobody listens in.
func freeSubnet(b *testing.B) string {
	b.Helper()
	for range 100 {
		subnet := fmt.Sprintf("127.%d.%d", 10+rand.IntN(240), rand.IntN(256))
		if l, err := net.Listen("tcp", subnet+".1:7946"); err == nil {
			_ = l.Close()
			return subnet
		}
	}
	b.Fatal("no part of the loopback network is free")
	return ""
}

// start starts a node. Extra is more TOML for it. What is not said is as a
// node has it by default.
func (w *world) start(role identity.Role, name, extra string) *node {
	w.b.Helper()
	return w.startAt(nil, fmt.Sprintf("%s.%d", w.subnet, len(w.nodes)+1), role, name, extra)
}

// startAt is start at a host of a lab, or on this machine where that is nil.
func (w *world) startAt(host *netns.Host, ip string, role identity.Role, name, extra string) *node {
	w.b.Helper()
	n := &node{
		w: w, name: name, role: role, config: w.path(name + ".toml"), host: host,
		ip: ip, ended: make(chan struct{}),
	}
	w.nodes = append(w.nodes, n)
	cert, key := w.path(name+".pem"), w.path(name+"-key.pem")
	pair, err := w.ca.Issue(identity.Subject{Role: role, ID: newID(), Name: name}, 24*time.Hour, time.Now())
	must(w.b, err)
	must(w.b, pair.Write(cert, key))

	var toml strings.Builder
	fmt.Fprintf(&toml, "name = %q\ntls_ca = %q\ntls_cert = %q\ntls_key = %q\ngossip_key_file = %q\n",
		name, w.path("ca.pem"), cert, key, w.path("gossip.key"))
	listen, gossip := n.ip+":7948", n.ip+":7949"
	if role == identity.Agent {
		listen, gossip = n.ip+":7947", n.ip+":7946"
		fmt.Fprintf(&toml, "data_dir = %q\nsocket = %q\n", w.path(name), w.path(name+".sock"))
	}
	fmt.Fprintf(&toml, "listen = %q\ngossip_bind = %q\njoin = [%s]\n%s", listen, gossip, quoted(w.seeds), extra)
	must(w.b, os.WriteFile(n.config, []byte(toml.String()), 0o600))
	if len(w.seeds) < 3 {
		w.seeds = append(w.seeds, gossip)
	}
	n.launch()
	return n
}

func quoted(list []string) string {
	var out []string
	for _, s := range list {
		out = append(out, fmt.Sprintf("%q", s))
	}
	return strings.Join(out, ", ")
}

func newID() fleet.UUID {
	var random [16]byte
	for i := range random {
		random[i] = byte(rand.Uint32())
	}
	return fleet.NewUUIDv4(random)
}

// launch starts the process; it ends with the benchmark at the latest.
func (n *node) launch() {
	n.w.b.Helper()
	log, err := os.Create(n.w.path(n.name + ".log"))
	must(n.w.b, err)
	n.cmd = exec.Command(n.w.binary, string(n.role), "--config", n.config)
	if n.host != nil {
		n.cmd = n.host.Command(context.Background(), n.w.binary, string(n.role), "--config", n.config)
		n.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	}
	n.cmd.Stdout, n.cmd.Stderr = log, log
	must(n.w.b, n.cmd.Start())
	if n.host != nil {
		prefer(n.w.b, n.pid())
	}
	go func() {
		_ = n.cmd.Wait()
		_ = log.Close()
		close(n.ended)
	}()
	n.w.b.Cleanup(n.end)
}

// end ends the process, as an operator does first.
func (n *node) end() {
	_ = n.cmd.Process.Signal(os.Interrupt)
	select {
	case <-n.ended:
	case <-time.After(patience):
		_ = n.cmd.Process.Kill()
		<-n.ended
		n.w.b.Errorf("%s did not end by itself", n.name)
	}
	if n.w.b.Failed() {
		n.w.b.Logf("the log of %s ends with:\n%s", n.name, built.Tail(n.w.path(n.name+".log")))
	}
}

func (n *node) pid() int { return n.cmd.Process.Pid }

func (w *world) pids() []int {
	var pids []int
	for _, n := range w.nodes {
		pids = append(pids, n.pid())
	}
	return pids
}

// addr is where a registry's API is; on loopback it asks for no certificate.
func (n *node) addr() string { return "http://" + n.ip + ":7948" }

// client returns a client of a registry.
func (n *node) client() *client.Client {
	n.w.b.Helper()
	c, err := client.New(n.addr(), client.Options{})
	must(n.w.b, err)
	n.w.b.Cleanup(c.Close)
	return c
}

// simulated starts agents on simulated hosts that hold their machines in
// memory and take no time to copy a disk.
func (w *world) simulated(count int) {
	w.b.Helper()
	const host = "driver = \"simulated\"\nsimulated_vcpus = 1000\nsimulated_memory_mib = 1048576\nsimulated_disk_gib = 100000\nsimulated_build_step = \"0s\"\n"
	for i := range count {
		w.start(identity.Agent, fmt.Sprintf("sim-%d", i+1), host)
	}
}

// whole waits until the registry answers for so many hosts.
func (n *node) whole(hosts int) *client.Client {
	n.w.b.Helper()
	c := n.client()
	n.w.until("the registry has heard all hosts", func(ctx context.Context) error {
		select {
		case <-n.ended:
			return errors.New("the registry has ended")
		default:
		}
		if err := c.Ready(ctx); err != nil {
			return err
		}
		list, err := c.Hosts(ctx)
		if err == nil && list.Coverage != (fleet.Coverage{Heard: hosts, Known: hosts}) {
			err = fmt.Errorf("its coverage is %+v", list.Coverage)
		}
		return err
	})
	return c
}

// until waits until holds returns nil.
func (w *world) until(what string, holds func(context.Context) error) {
	w.b.Helper()
	w.within(patience, what, holds)
}

// within is until with another patience.
func (w *world) within(patience time.Duration, what string, holds func(context.Context) error) {
	w.b.Helper()
	ctx, cancel := context.WithTimeout(w.b.Context(), patience)
	defer cancel()
	for {
		err := holds(ctx)
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			w.b.Fatalf("gave up waiting until %s: %v", what, err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// cli runs the command line against a registry; it must succeed.
func (n *node) cli(args ...string) {
	n.w.b.Helper()
	cmd := exec.CommandContext(n.w.b.Context(), n.w.binary, args...)
	cmd.Env = append(os.Environ(), "GRAPEVINE_ADDR="+n.addr())
	if out, err := cmd.CombinedOutput(); err != nil {
		n.w.b.Fatalf("grapevine %s: %v: %s", strings.Join(args, " "), err, out)
	}
}

// disk gives every host a small disk image.
func (n *node) disk(name string) {
	n.w.b.Helper()
	file := n.w.path(name + ".raw")
	must(n.w.b, os.WriteFile(file, bytes.Repeat([]byte("disk"), 1024), 0o600))
	n.cli("image", "import", "--name", name, "--disk", file, "--format", "raw", "--all-hosts")
}
