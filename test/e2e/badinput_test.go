package e2e

import (
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// oneSentence checks an error of the command line: its exit code, its words,
// and that it is one line that begins with the program's name.
func oneSentence(t *testing.T, stderr string, code, wantCode int, words ...string) {
	t.Helper()
	text := strings.TrimSpace(stderr)
	if code != wantCode {
		t.Errorf("got exit code %d, want %d: %s", code, wantCode, text)
	}
	lines := strings.Split(text, "\n")
	last := lines[len(lines)-1]
	if !strings.HasPrefix(last, "grapevine: ") {
		t.Errorf("the error does not begin with the program's name: %q", text)
	}
	for _, word := range words {
		if !strings.Contains(text, word) {
			t.Errorf("the error does not say %q: %s", word, text)
		}
	}
	if strings.Contains(text, "panic") || strings.Contains(text, "goroutine") {
		t.Errorf("the error is a crash: %s", text)
	}
}

// refusedToStart runs a node that must end by itself, and returns how.
func (n *node) refusedToStart() (stderr string, code int) {
	n.w.t.Helper()
	_, stderr, code = n.w.run(nil, n.role, "--config", n.config)
	return stderr, code
}

func TestAgentSaysWhyItDoesNotStart(t *testing.T) {
	t.Run("an unknown key", func(t *testing.T) {
		w := newWorld(t)
		n := w.newNode("agent", "sim-1", "driver = \"simulated\"\nlistten = \"x\"\n")
		stderr, code := n.refusedToStart()
		oneSentence(t, stderr, code, 1, "sim-1.toml:", "listten")
	})
	t.Run("a certificate of another fleet", func(t *testing.T) {
		w, other := newWorld(t), newWorld(t)
		n := w.newNode("agent", "sim-1", "driver = \"simulated\"\n")
		copyFile(t, other.path("ca", "ca.pem"), w.path("sim-1", "ca.pem"))
		stderr, code := n.refusedToStart()
		oneSentence(t, stderr, code, 1, "agent.pem", "CA")
	})
	t.Run("a port in use", func(t *testing.T) {
		w := newWorld(t)
		n := w.newNode("agent", "sim-1", "driver = \"simulated\"\n")
		l, err := net.Listen("tcp", n.ip+":7947")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		stderr, code := n.refusedToStart()
		oneSentence(t, stderr, code, 1, n.ip+":7947", "in use", "listen")
	})
	t.Run("a gossip port in use", func(t *testing.T) {
		w := newWorld(t)
		n := w.newNode("registry", "registry-1", "")
		l, err := net.Listen("tcp", n.ip+":7949")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		stderr, code := n.refusedToStart()
		oneSentence(t, stderr, code, 1, n.ip+":7949", "in use")
	})
	t.Run("a negative size", func(t *testing.T) {
		w := newWorld(t)
		n := w.newNode("agent", "sim-1", "driver = \"simulated\"\n[[flavors]]\nname = \"odd\"\nvcpus = -1\nmemory_mib = 128\n")
		stderr, code := n.refusedToStart()
		oneSentence(t, stderr, code, 1, "odd", "vcpus is -1")
	})
	t.Run("a public address without TLS", func(t *testing.T) {
		w := newWorld(t)
		n := w.newNode("registry", "registry-1", "")
		rewrite(t, n.config, "listen = \""+n.ip+":7948\"", "listen = \"0.0.0.0:7948\"")
		stderr, code := n.refusedToStart()
		oneSentence(t, stderr, code, 1, "listen", "listen_tls")
	})
}

// An absent libvirt is no reason not to start: it may come. The host says so.
func TestAgentWithoutLibvirtSaysSoInItsRow(t *testing.T) {
	w := newWorld(t)
	n := w.newNode("agent", "kvm-1", "driver = \"libvirt\"\nlibvirt_socket = \""+filepath.Join(t.TempDir(), "none")+"\"\n")
	n.start()
	w.until("the host says that its hypervisor does not answer", func() error {
		for _, host := range n.hosts().Items {
			if host.Reachability == "hypervisor_unreachable" && host.HypervisorFault != "" {
				return nil
			}
		}
		return os.ErrNotExist
	})
	stdout, stderr, code := w.run(nil, "doctor", "--agent-config", n.config)
	if code != 1 || !strings.Contains(stdout+stderr, "none") {
		t.Errorf("doctor ended with %d and said:\n%s%s", code, stdout, stderr)
	}
}

// A node with another gossip key stays out, and both sides can see why.
func TestWrongGossipKeyIsNamedInTheLog(t *testing.T) {
	w := newWorld(t)
	first := w.agent("sim-1", 1024, "")
	stranger := w.newNode("agent", "sim-2", "driver = \"simulated\"\n")
	other := newWorld(t)
	rewrite(t, stranger.config, w.path("ca", "gossip.key"), other.path("ca", "gossip.key"))
	stranger.launch()
	w.until("the log names the gossip key", func() error {
		data, err := os.ReadFile(w.path("sim-2.log"))
		if err != nil {
			return err
		}
		for line := range strings.SplitSeq(string(data), "\n") {
			if strings.Contains(line, "gossip key") && !strings.Contains(line, "level=DEBUG") {
				return nil
			}
		}
		return os.ErrNotExist
	})
	if known := first.hosts().Coverage.Known; known != 1 {
		t.Errorf("the first host knows %d hosts, want only itself", known)
	}
}

func TestBadRequestsAreAnsweredInOneSentenceAndChangeNothing(t *testing.T) {
	_, _, registries := fleetOfThree(t)
	r := registries[0]
	r.importTiny()
	before := r.root()
	for _, c := range []struct {
		name, method, path, body string
		status, code             string
	}{
		{"malformed JSON", "POST", "/v1/instances", `{"name": `, "400", "bad_request"},
		{"an unknown field", "POST", "/v1/instances", `{"name": "a", "flavor": "nano", "image": "tiny", "flavour": "x"}`, "422", "invalid"},
		{"an unknown flavor", "POST", "/v1/instances", `{"name": "a", "flavor": "huge", "image": "tiny"}`, "422", "unknown_flavor"},
		{"an unknown image", "POST", "/v1/instances", `{"name": "a", "flavor": "nano", "image": "none"}`, "422", "unknown_image"},
		{"a control character", "POST", "/v1/instances", `{"name": "a\u0007b", "flavor": "nano", "image": "tiny"}`, "422", "invalid"},
		{"an empty name", "POST", "/v1/instances", `{"name": "", "flavor": "nano", "image": "tiny"}`, "422", "invalid"},
		{"a body of 10 MiB", "POST", "/v1/instances", `{"name": "` + strings.Repeat("x", 10<<20) + `"}`, "413", "too_large"},
		{"an unknown filter", "GET", "/v1/instances?colour=red", "", "400", "unknown_filter"},
		{"a negative limit", "GET", "/v1/instances?limit=-1", "", "422", "invalid"},
		{"an id that is none", "GET", "/v1/instances/x", "", "400", "bad_request"},
		{"an id that nobody has", "GET", "/v1/instances/00000000-0000-4000-8000-000000000001", "", "404", "not_found"},
		{"a path that is none", "GET", "/v1/machines", "", "404", "not_found"},
		{"a method that is none", "PATCH", "/v1/hosts", "", "405", "method_not_allowed"},
		{"an unknown action", "POST", "/v1/instances/00000000-0000-4000-8000-000000000001/explode", "", "422", "invalid"},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "body")
			if err := os.WriteFile(file, []byte(c.body), 0o600); err != nil {
				t.Fatal(err)
			}
			args := []string{"--silent", "--noproxy", "*", "--request", c.method, "--write-out", "\n%{http_code}"}
			if c.body != "" {
				args = append(args, "--header", "Content-Type: application/json", "--header", "Expect:", "--data-binary", "@"+file)
			}
			out, _ := exec.Command("curl", append(args, r.addr()+c.path)...).Output()
			text := string(out)
			answer, status := cutLast(text)
			var problem struct{ Code, Detail string }
			if err := json.Unmarshal([]byte(answer), &problem); err != nil {
				t.Fatalf("not a problem document (status %s): %.300s", status, text)
			}
			if status != c.status || problem.Code != c.code {
				t.Errorf("got status %s and code %q, want %s and %q: %s", status, problem.Code, c.status, c.code, problem.Detail)
			}
			if problem.Detail == "" || strings.Contains(problem.Detail, "\n") || len(problem.Detail) > 500 {
				t.Errorf("the detail is not one clear sentence: %q", problem.Detail)
			}
		})
	}
	if after := r.root(); after != before {
		t.Errorf("the bad requests changed the fleet: root %s, before %s", after, before)
	}
}

// cutLast splits at the last line break.
func cutLast(s string) (before, after string) {
	i := strings.LastIndex(s, "\n")
	if i < 0 {
		return s, ""
	}
	return s[:i], s[i+1:]
}

func TestBadCommandLinesAreUsageErrors(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		args  []string
		code  int
		words []string
	}{
		{[]string{"instance", "creat"}, 2, []string{"creat", "create"}},
		{[]string{"instance", "list", "--colour"}, 2, []string{"--colour"}},
		{[]string{"instance", "create", "--flavor", "nano", "--image", "tiny"}, 2, []string{"--name"}},
		{[]string{"instance", "create", "--name", "a", "--flavor", "nano", "--image", "tiny", "--count", "-1"}, 2, []string{"count"}},
		{[]string{"host", "list", "-o", "xml"}, 2, []string{"xml"}},
		{[]string{"dev", "--hosts", "0"}, 1, []string{"hosts is 0"}},
		{[]string{"host", "list", "--addr", "http://127.0.0.1:1"}, 1, []string{"127.0.0.1:1"}},
	} {
		_, stderr, code := w.run(nil, c.args...)
		oneSentence(t, stderr, code, c.code, c.words...)
	}
}

// A link to a node that is of another fleet is refused, and the log says why.
func TestNodeOfAnotherFleetIsKeptOut(t *testing.T) {
	w := newWorld(t)
	first := w.agent("sim-1", 1024, "")
	other := newWorld(t)
	// The stranger has the gossip key, but its certificates are of its own CA.
	other.subnet, other.nodes, other.seeds = w.subnet, 100, w.seeds
	stranger := other.newNode("agent", "sim-2", "driver = \"simulated\"\n")
	rewrite(t, stranger.config, other.path("ca", "gossip.key"), w.path("ca", "gossip.key"))
	stranger.launch()
	w.until("the refusal is in the log of either", func() error {
		for _, log := range []string{w.path("sim-1.log"), other.path("sim-2.log")} {
			data, err := os.ReadFile(log)
			if err != nil {
				return err
			}
			for line := range strings.SplitSeq(string(data), "\n") {
				if strings.Contains(line, "certificate") && !strings.Contains(line, "level=DEBUG") {
					return nil
				}
			}
		}
		return os.ErrNotExist
	})
	if heard := first.hosts().Coverage.Heard; heard != 1 {
		t.Errorf("the first host hears %d hosts, want only itself", heard)
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(to); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func rewrite(t *testing.T, file, old, new string) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(data), old) {
		t.Fatalf("%s does not have %q", file, old)
	}
	if err := os.WriteFile(file, []byte(strings.Replace(string(data), old, new, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
}
