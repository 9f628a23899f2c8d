package e2e

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"grapevine/fleet"
	"grapevine/test/built"
)

// patience is how long a condition may take before a test gives up. It bounds
// a hang and judges no speed.
const patience = 90 * time.Second

// binary is the program under test, built once.
var binary string

func TestMain(m *testing.M) { built.Main(m, &binary) }

// world is a fleet's network, its CA, and the nodes on it.
type world struct {
	t        *testing.T
	dir      string
	subnet   string // 127.x.y
	nodes    int
	seeds    []string // gossip addresses to join through
	patience time.Duration
	pause    time.Duration // between two looks
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), subnet: freeSubnet(t), patience: patience, pause: 20 * time.Millisecond}
	w.must(w.run(nil, "tls", "init", "--dir", w.path("ca"), "--fleet", "e2e"))
	w.issue("operator", "operator", "")
	return w
}

// freeSubnet finds a part of the loopback network that nobody listens in.
func freeSubnet(t *testing.T) string {
	t.Helper()
	for range 100 {
		subnet := fmt.Sprintf("127.%d.%d", 10+rand.IntN(240), rand.IntN(256))
		l, err := net.Listen("tcp", subnet+".1:7946")
		if err == nil {
			l.Close()
			return subnet
		}
	}
	t.Fatal("no part of the loopback network is free")
	return ""
}

func (w *world) path(parts ...string) string {
	return filepath.Join(append([]string{w.dir}, parts...)...)
}

// issue makes the certificate of a node or a person in the folder of its name.
func (w *world) issue(role, name, id string) {
	w.t.Helper()
	args := []string{"tls", "issue", "--dir", w.path("ca"), "--role", role, "--name", name, "--out", w.path(name)}
	if id != "" {
		args = append(args, "--id", id)
	}
	w.must(w.run(nil, args...))
}

// node is an agent or a registry: a configuration, and a process at times.
type node struct {
	w      *world
	name   string
	role   string
	ip     string
	config string
	id     string
	// program is what runs; the program under test where it is empty.
	program string
	*built.Daemon
}

// withDisk are sizes with a disk of their own, beside the built-in ones.
var withDisk = []fleet.Flavor{
	{Name: "micro", Resources: fleet.Resources{VCPUs: 1, MemoryMiB: 128, DiskGiB: 1}},
	{Name: "wide", Resources: fleet.Resources{VCPUs: 2, MemoryMiB: 160, DiskGiB: 2}},
	{Name: "debian", Resources: fleet.Resources{VCPUs: 1, MemoryMiB: 768, DiskGiB: 3}},
}

// newNode makes a node that does not run yet. Extra is more TOML for it.
func (w *world) newNode(role, name, extra string) *node {
	w.t.Helper()
	w.nodes++
	n := &node{w: w, name: name, role: role, ip: fmt.Sprintf("%s.%d", w.subnet, w.nodes), id: newID()}
	w.issue(role, name, n.id)
	tls := w.path(name)
	var b strings.Builder
	fmt.Fprintf(&b, "name = %q\nlog_level = \"debug\"\n", name)
	fmt.Fprintf(&b, "tls_ca = %q\ntls_cert = %q\ntls_key = %q\ngossip_key_file = %q\n",
		filepath.Join(tls, "ca.pem"), filepath.Join(tls, role+".pem"), filepath.Join(tls, role+"-key.pem"), filepath.Join(w.path("ca"), "gossip.key"))
	port := 7946
	if role == "registry" {
		port = 7949
		fmt.Fprintf(&b, "listen = \"%s:7948\"\n", n.ip)
	} else {
		fmt.Fprintf(&b, "listen = \"%s:7947\"\ndata_dir = %q\nsocket = %q\nreserve_memory_mib = 0\nlist_every = \"1s\"\n", n.ip, w.path(name, "data"), w.path(name, "agent.sock"))
	}
	gossip := fmt.Sprintf("%s:%d", n.ip, port)
	fmt.Fprintf(&b, "gossip_bind = %q\njoin = [%s]\n", gossip, quoted(w.seeds))
	w.seeds = append(w.seeds, gossip)
	b.WriteString(extra)
	for _, f := range slices.Concat(fleet.BuiltinFlavors(), withDisk) {
		fmt.Fprintf(&b, "[[flavors]]\nname = %q\nvcpus = %d\nmemory_mib = %d\ndisk_gib = %d\n", f.Name, f.VCPUs, f.MemoryMiB, f.DiskGiB)
	}
	n.config = w.path(name + ".toml")
	if err := os.WriteFile(n.config, []byte(b.String()), 0o600); err != nil {
		w.t.Fatal(err)
	}
	return n
}

func quoted(list []string) string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = fmt.Sprintf("%q", s)
	}
	return strings.Join(out, ", ")
}

func newID() string {
	var random [16]byte
	for i := range random {
		random[i] = byte(rand.Uint32())
	}
	return fleet.NewUUIDv4(random).String()
}

// agent makes and starts an agent on a simulated host whose machines outlive
// the process. It has so much memory.
func (w *world) agent(name string, memoryMiB int, extra string) *node {
	w.t.Helper()
	n := w.newNode("agent", name, fmt.Sprintf("driver = \"simulated\"\nsimulated_dir = %q\nsimulated_memory_mib = %d\n%s",
		w.path(name, "hypervisor"), memoryMiB, extra))
	n.start()
	return n
}

func (w *world) registry(name string) *node {
	w.t.Helper()
	n := w.newNode("registry", name, "")
	n.start()
	return n
}

// start starts the process and waits until it says that it is ready.
func (n *node) start() {
	n.w.t.Helper()
	n.launch()
	n.w.until(n.name+" is ready", func() error {
		select {
		case <-n.Ended:
			return fatalError{fmt.Errorf("it has ended: %s", built.Tail(n.logFile()))}
		default:
		}
		_, stderr, code := n.cli("mesh", "members")
		if code != 0 {
			return errors.New(stderr)
		}
		return n.ready()
	})
}

// ready asks the node itself, as a load balancer does.
func (n *node) ready() error {
	out, err := exec.Command("curl", append(n.curl(), n.addr()+"/readyz")...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// launch starts the process, and its end with the test's.
func (n *node) launch() {
	n.w.t.Helper()
	n.Daemon = built.Start(n.w.t, exec.Command(cmp.Or(n.program, binary), n.role, "--config", n.config), n.name, n.logFile())
}

func (n *node) logFile() string { return n.w.path(n.name + ".log") }

// kill is kill -9.
func (n *node) kill() {
	n.w.t.Helper()
	if err := n.Cmd.Process.Kill(); err != nil {
		n.w.t.Fatal(err)
	}
	<-n.Ended
}

func (n *node) addr() string {
	if n.role == "registry" {
		return "http://" + n.ip + ":7948"
	}
	return "https://" + n.ip + ":7947"
}

// environment is what an operator's shell has to talk to the node.
func (n *node) environment() []string {
	own := n.w.path("operator")
	return []string{
		"GRAPEVINE_ADDR=" + n.addr(), "GRAPEVINE_CACERT=" + filepath.Join(own, "ca.pem"),
		"GRAPEVINE_CERT=" + filepath.Join(own, "operator.pem"), "GRAPEVINE_KEY=" + filepath.Join(own, "operator-key.pem"),
	}
}

// curl returns the options with which curl talks to the node.
func (n *node) curl() []string {
	own := n.w.path("operator")
	options := []string{"--silent", "--show-error", "--fail-with-body", "--noproxy", "*"}
	if n.role == "agent" {
		// The certificate names the node by its id, not by a test's address.
		options = append(options, "--insecure", "--cert", filepath.Join(own, "operator.pem"), "--key", filepath.Join(own, "operator-key.pem"))
	}
	return options
}

// cli runs the command line against the node.
func (n *node) cli(args ...string) (stdout, stderr string, code int) {
	n.w.t.Helper()
	return n.w.run(n.environment(), args...)
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

// run runs the command line.
func (w *world) run(env []string, args ...string) (stdout, stderr string, code int) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), w.patience)
	defer cancel()
	return built.Run(w.t, exec.CommandContext(ctx, binary, args...), w.dir, env...)
}

// script runs one of the source tree's scripts.
func (w *world) script(name string, args ...string) string {
	w.t.Helper()
	out, problems, code := built.Run(w.t, exec.Command(filepath.Join(scripts, name), args...), w.dir)
	if code != 0 {
		w.t.Fatalf("%s %s: %s", name, strings.Join(args, " "), problems)
	}
	return out
}

func (w *world) must(_, stderr string, code int) {
	w.t.Helper()
	if code != 0 {
		w.t.Fatalf("exit code %d: %s", code, stderr)
	}
}

// instances returns what the node lists.
func (n *node) instances() fleet.List[fleet.Instance] {
	n.w.t.Helper()
	return decode[fleet.List[fleet.Instance]](n.w.t, n.do("instance", "list", "-o", "json"))
}

func (n *node) hosts() fleet.List[fleet.Host] {
	n.w.t.Helper()
	return decode[fleet.List[fleet.Host]](n.w.t, n.do("host", "list", "-o", "json"))
}

// instance returns one row as the node shows it.
func (n *node) instance(id fleet.InstanceID) (fleet.Instance, bool) {
	n.w.t.Helper()
	list := n.instances()
	for _, row := range list.Items {
		if row.ID == id {
			return row, true
		}
	}
	return fleet.Instance{}, false
}

func decode[T any](t *testing.T, text string) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("not the JSON that was expected: %v\n%s", err, text)
	}
	return v
}

// fatalError ends until at once.
type fatalError struct{ error }

// until waits until holds returns nil.
func (w *world) until(what string, holds func() error) {
	w.t.Helper()
	deadline := time.Now().Add(w.patience)
	for {
		err := holds()
		var fatal fatalError
		switch {
		case err == nil:
			return
		case errors.As(err, &fatal), time.Now().After(deadline):
			w.t.Fatalf("gave up waiting until %s: %v", what, err)
		}
		time.Sleep(w.pause)
	}
}

// seen waits until each node shows the instance as wanted, and says how long
// the last of them took.
func (w *world) seen(what string, id fleet.InstanceID, at []*node, wanted func(fleet.Instance) bool) time.Duration {
	w.t.Helper()
	began := time.Now()
	for _, n := range at {
		w.until(fmt.Sprintf("%s shows %s", n.name, what), func() error {
			row, ok := n.instance(id)
			if !ok {
				return errors.New("it does not list the instance")
			}
			if !wanted(row) {
				return fmt.Errorf("it shows power %q, task %q, ownership %q, reachability %q, fault %q", row.Power, row.Task, row.Ownership, row.Reachability, row.Fault)
			}
			return nil
		})
	}
	return time.Since(began)
}

func has(power fleet.Power) func(fleet.Instance) bool {
	return func(row fleet.Instance) bool { return row.Power == power && row.Task == fleet.TaskNone }
}

// gone waits until no node lists the instance.
func (w *world) gone(id fleet.InstanceID, at []*node) {
	w.t.Helper()
	for _, n := range at {
		w.until(n.name+" lists the instance no more", func() error {
			if row, ok := n.instance(id); ok {
				return fmt.Errorf("it shows %q, task %q", row.Power, row.Task)
			}
			return nil
		})
	}
}

// importTiny imports the image tiny, a small disk, at every host.
func (n *node) importTiny() {
	n.w.t.Helper()
	file := n.w.path("tiny.raw")
	if err := os.WriteFile(file, bytes.Repeat([]byte("disk"), 1024), 0o600); err != nil {
		n.w.t.Fatal(err)
	}
	n.do("image", "import", "--name", "tiny", "--disk", file, "--format", "raw", "--all-hosts")
	n.w.until("every host's image is listed", func() error {
		list := decode[fleet.List[fleet.Image]](n.w.t, n.do("image", "list", "-o", "json"))
		if len(list.Items) != 1 || len(list.Items[0].Hosts) != list.Coverage.Known {
			return fmt.Errorf("it lists %+v", list)
		}
		return nil
	})
}

// create creates an instance and returns its row when nothing is being done to
// it any more.
func (n *node) create(args ...string) fleet.Instance {
	n.w.t.Helper()
	out := n.do(append([]string{"instance", "create", "-o", "json", "--wait", "80s"}, args...)...)
	return firstInstance(n.w.t, out)
}

// firstInstance reads what create printed: one row, or a list of one.
func firstInstance(t *testing.T, text string) fleet.Instance {
	t.Helper()
	list := decode[struct {
		Items    []json.RawMessage `json:"items"`
		Instance *fleet.Instance   `json:"instance"`
		ID       fleet.InstanceID  `json:"id"`
	}](t, text)
	switch {
	case list.Instance != nil:
		return *list.Instance
	case len(list.Items) > 0:
		return firstInstance(t, string(list.Items[0]))
	default:
		return decode[fleet.Instance](t, text)
	}
}
