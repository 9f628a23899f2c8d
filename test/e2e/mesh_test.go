package e2e

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"grapevine/fleet"
	"grapevine/test/built"
)

// follower is a command that goes on until it is interrupted.
type follower struct {
	w     *world
	cmd   *exec.Cmd
	ended chan struct{} // closed when it has ended and both streams are read

	mu       sync.Mutex
	out, err []string // guarded by mu: lines
}

// follow starts a command against the node, and ends it with the test.
func (n *node) follow(args ...string) *follower {
	n.w.t.Helper()
	f := &follower{w: n.w, ended: make(chan struct{}), cmd: exec.Command(binary, args...)}
	f.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + n.w.dir}, n.environment()...)
	stdout, errOut := f.cmd.StdoutPipe()
	stderr, errErr := f.cmd.StderrPipe()
	if err := errors.Join(errOut, errErr, f.cmd.Start()); err != nil {
		n.w.t.Fatal(err)
	}
	var reading sync.WaitGroup
	reading.Go(func() { f.read(bufio.NewScanner(stdout), &f.out) })
	reading.Go(func() { f.read(bufio.NewScanner(stderr), &f.err) })
	go func() {
		defer close(f.ended)
		reading.Wait()
		_ = f.cmd.Wait()
	}()
	n.w.t.Cleanup(func() {
		_ = f.cmd.Process.Kill()
		<-f.ended
	})
	return f
}

func (f *follower) read(lines *bufio.Scanner, into *[]string) {
	for lines.Scan() {
		f.mu.Lock()
		*into = append(*into, lines.Text())
		f.mu.Unlock()
	}
}

// says waits until a line holds all of these texts, on stdout or stderr.
func (f *follower) says(texts ...string) {
	f.w.t.Helper()
	f.w.until(fmt.Sprintf("%s says %q", strings.Join(f.cmd.Args[1:], " "), texts), func() error {
		f.mu.Lock()
		defer f.mu.Unlock()
		for _, line := range slices.Concat(f.out, f.err) {
			if !slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(line, text) }) {
				return nil
			}
		}
		return fmt.Errorf("it said %q and %q", f.out, f.err)
	})
}

// exit waits for the end and returns the exit code.
func (f *follower) exit() int {
	<-f.ended
	return f.cmd.ProcessState.ExitCode()
}

// Any agent shows the inside of the mesh, and so does a registry.
func TestOperatorsSeeInsideTheMeshFromAnyNode(t *testing.T) {
	w, agents, registries := fleetOfThree(t)
	registries[0].importTiny()
	web := registries[0].create("--name", "web", "--flavor", "nano", "--image", "tiny", "--host", "sim-1")
	w.seen("the instance", web.ID, agents, has(fleet.PowerRunning))
	for _, n := range []*node{agents[2], registries[0]} {
		t.Run("at "+n.name, func(t *testing.T) {
			lookAround(t, n)
			ask(t, n, web)
		})
	}
	t.Run("watch", func(t *testing.T) { watch(t, agents[2], registries[0]) })
	t.Run("keys", func(t *testing.T) { rotate(t, w, agents) })
	t.Run("silent node", func(t *testing.T) { traceWithoutOne(t, agents[0], agents[2]) })
	t.Run("leave", func(t *testing.T) { leave(t, w, agents[1], []*node{agents[0], registries[0], registries[1]}) })
}

// show runs a command that must succeed, and writes what people see of it.
func show(t *testing.T, n *node, args ...string) string {
	t.Helper()
	out := n.do(args...)
	t.Logf("at %s: grapevine %s\n%s", n.name, strings.Join(args, " "), out)
	return out
}

// lookAround reads what the node knows by itself.
func lookAround(t *testing.T, n *node) {
	t.Helper()
	for _, verb := range []string{"members", "links", "digest", "lag"} {
		show(t, n, "mesh", verb)
	}
	members := decode[fleet.List[fleet.Member]](t, n.do("mesh", "members", "-o", "json"))
	if len(members.Items) != 5 {
		t.Errorf("got %d members, want 3 agents and 2 registries", len(members.Items))
	}
	for _, m := range members.Items {
		if m.Status != fleet.MemberAlive || m.Since.IsZero() {
			t.Errorf("got member %+v, want it alive since some time", m)
		}
	}
	links := decode[fleet.List[fleet.Link]](t, n.do("mesh", "links", "-o", "json"))
	if len(links.Items) == 0 || links.Items[0].SentBytes == 0 || links.Items[0].ReceivedBytes == 0 {
		t.Errorf("got links %+v, want some with traffic", links.Items)
	}
	lag := decode[fleet.Lag](t, n.do("mesh", "lag", "-o", "json"))
	if lag.Heard.Hosts != 3 || lag.Known.Hosts != 3 || len(lag.Rows) != 3 || lag.Known.MaxMS != lag.Rows[0].AgeMS {
		t.Errorf("got lag %+v, want 3 hosts that are heard, the oldest first", lag)
	}
	metrics, err := exec.Command("curl", append(n.curl(), n.addr()+"/metrics")...).CombinedOutput()
	if err != nil || !bytes.Contains(metrics, []byte(`grapevine_mesh_host_age_seconds{hosts="heard",percentile="99"}`)) {
		t.Errorf("the metrics have no ages of hosts: %v\n%.2000s", err, metrics)
	}
	if list := n.instances(); len(list.Items) != 1 || list.Coverage != (fleet.Coverage{Heard: 3, Known: 3}) {
		t.Errorf("got %+v, want the one instance of the fleet", list)
	}
}

// ask has the node ask others.
func ask(t *testing.T, n *node, web fleet.Instance) {
	t.Helper()
	show(t, n, "mesh", "trace", "web")
	trace := decode[fleet.Trace](t, n.do("mesh", "trace", "web", "-o", "json"))
	if trace.Instance != web.ID || trace.HostName != "sim-1" || trace.Asked != 5 {
		t.Errorf("got trace %+v, want that of web on sim-1, five nodes asked", trace)
	}
	origins := 0
	for _, hop := range trace.Nodes {
		switch {
		case hop.Origin:
			origins++
		case hop.Role == fleet.RoleAgent && (hop.From.IsZero() || hop.At == nil || hop.Error != ""):
			t.Errorf("got %+v, want from whom and when", hop)
		case hop.Role == fleet.RoleRegistry && hop.Name != n.name && !strings.Contains(hop.Error, "plain HTTP"):
			t.Errorf("got %+v of a registry that serves others without TLS", hop)
		}
	}
	if origins != 1 {
		t.Errorf("got %d origins, want sim-1 alone", origins)
	}
	n.w.until("both hold the same fleet", func() error {
		diff := decode[fleet.DigestDiff](t, n.do("mesh", "diff", "sim-1", "sim-2", "-o", "json"))
		if !diff.Equal || diff.A.Root != diff.B.Root || diff.A.Name != "sim-1" {
			return fmt.Errorf("got %+v", diff)
		}
		return nil
	})
	show(t, n, "mesh", "diff", "sim-2")
	show(t, n, "mesh", "diff", "https://"+n.w.subnet+".1:7947")
	if trip := decode[fleet.RoundTrip](t, n.do("mesh", "ping", "sim-2", "-o", "json")); !trip.Measured || trip.ToName != "sim-2" || trip.RTTMS <= 0 {
		t.Errorf("got ping %+v", trip)
	}
	show(t, n, "mesh", "ping", "sim-1")
	n.w.until("coordinates are known", func() error {
		if _, stderr, code := n.cli("mesh", "rtt", "sim-1", "sim-2"); code != 0 {
			return errors.New(stderr)
		}
		return nil
	})
	show(t, n, "mesh", "rtt", "sim-1", "sim-2")
	for _, args := range [][]string{{"ping", "nobody"}, {"diff", "nobody"}, {"rtt", "nobody"}, {"trace", "nobody"}} {
		if _, stderr, code := n.cli(append([]string{"mesh"}, args...)...); code != 1 || !strings.Contains(stderr, "nobody") {
			t.Errorf("mesh %v: got exit code %d, %q; want 1 and who is not there", args, code, stderr)
		}
	}
}

// watch sees at one node what is done through another, and ends when a person
// interrupts it.
func watch(t *testing.T, n, through *node) {
	t.Helper()
	f := n.follow("mesh", "watch", "--host", "sim-1")
	f.says("watching at")
	through.do("host", "cordon", "sim-2") // of which nothing is said
	through.do("instance", "stop", "web", "--wait", "80s")
	f.says("sim-1", "instance web")
	if err := f.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if code := f.exit(); code != 0 {
		t.Errorf("exit code %d after an interrupt, want 0: %q", code, f.err)
	}
	for _, line := range f.out {
		if strings.Contains(line, "sim-2") {
			t.Errorf("a watch of sim-1 says %q", line)
		}
	}
	t.Logf("at %s: grapevine mesh watch --host sim-1\n%s", n.name, strings.Join(f.out, "\n"))
	through.do("host", "uncordon", "sim-2")
}

// rotate changes the gossip key of all members while they run.
func rotate(t *testing.T, w *world, agents []*node) {
	t.Helper()
	n := agents[1]
	keys := func() []fleet.GossipKey {
		t.Helper()
		return decode[fleet.GossipKeyReport](t, n.do("mesh", "keys", "list", "-o", "json")).Keys
	}
	old := keys()
	if len(old) != 1 || old[0].Members != 5 || old[0].Primary != 5 {
		t.Fatalf("got %+v, want one key that all five use", old)
	}
	file := w.path("new-gossip.key")
	out := show(t, n, "mesh", "keys", "install", "--generate", file)
	show(t, n, "mesh", "keys", "list")
	fresh := slices.DeleteFunc(keys(), func(k fleet.GossipKey) bool { return k.Fingerprint == old[0].Fingerprint })
	if len(fresh) != 1 || fresh[0].Members != 5 || fresh[0].Primary != 0 {
		t.Fatalf("got %+v beside the old key, want one that all hold and nobody uses", fresh)
	}
	// Whoever starts from now on, a registry or an agent that was away, needs it.
	secret, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(w.path("ca", "gossip.key"), secret, 0o600); err != nil {
		t.Fatal(err)
	}
	out += n.do("mesh", "keys", "use", fresh[0].Fingerprint)
	out += show(t, n, "mesh", "keys", "remove", old[0].Fingerprint)
	if strings.Contains(out, strings.TrimSpace(string(secret))) {
		t.Error("the key itself was printed")
	}
	if left := keys(); len(left) != 1 || left[0].Fingerprint != fresh[0].Fingerprint || left[0].Primary != 5 {
		t.Errorf("got %+v, want the new key alone, used by all", left)
	}
	// An agent's certificate reads keys, and changes nothing.
	env := []string{
		"GRAPEVINE_ADDR=" + n.addr(), "GRAPEVINE_CACERT=" + w.path("operator", "ca.pem"),
		"GRAPEVINE_CERT=" + filepath.Join(w.path("sim-1"), "agent.pem"), "GRAPEVINE_KEY=" + filepath.Join(w.path("sim-1"), "agent-key.pem"),
	}
	w.must(w.run(env, "mesh", "keys", "list"))
	for _, args := range [][]string{{"mesh", "keys", "remove", old[0].Fingerprint}, {"mesh", "leave", "--yes"}} {
		if _, stderr, code := w.run(env, args...); code != 1 || !strings.Contains(stderr, "not open to the role agent") {
			t.Errorf("%v as an agent: got exit code %d, %q; want it refused", args, code, stderr)
		}
	}
}

// traceWithoutOne kills an agent and traces before anybody has noticed, or
// after: it is listed as silent, or asked no more.
func traceWithoutOne(t *testing.T, n, dead *node) {
	t.Helper()
	dead.kill()
	out := show(t, n, "mesh", "trace", "web")
	trace := decode[fleet.Trace](t, n.do("mesh", "trace", "web", "-o", "json"))
	for _, hop := range trace.Nodes {
		if hop.Name == dead.name && hop.Error == "" {
			t.Errorf("got %+v from a process that has ended: %s", hop, out)
		}
	}
	dead.start()
}

// leave makes an agent leave: its watchers are told, its process ends with 0,
// and the others list it as left.
func leave(t *testing.T, w *world, n *node, others []*node) {
	t.Helper()
	f := n.follow("mesh", "watch")
	f.says("watching at")
	show(t, n, "mesh", "leave", "--yes")
	<-n.Ended
	if code := n.Cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("the agent ended with exit code %d, want 0: %s", code, built.Tail(n.logFile()))
	}
	if code := f.exit(); code != 1 {
		t.Errorf("its watcher ended with exit code %d, want 1: %q", code, f.err)
	}
	f.says("shutting down")
	for _, other := range others {
		w.until(other.name+" lists it as left", func() error {
			for _, m := range decode[fleet.List[fleet.Member]](t, other.do("mesh", "members", "-o", "json")).Items {
				if m.Name == n.name && m.Status != fleet.MemberLeft {
					return fmt.Errorf("it says %s", m.Status)
				}
			}
			return nil
		})
		if host := hostNamed(t, other, n.name); host.Reachability != fleet.ReachLeft {
			t.Errorf("%s shows the host as %s, want left", other.name, host.Reachability)
		}
	}
}
