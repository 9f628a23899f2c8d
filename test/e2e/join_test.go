package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"grapevine/fleet"
	"grapevine/test/built"
)

// A registry holds an intermediate; a host joins it by a token, and starts with
// a configuration that says nothing of the fleet.
func TestHostJoinsByATokenAndIsSeenWithItsMachines(t *testing.T) {
	w := newWorld(t)
	first := w.agent("sim-1", 4096, "")
	first.importTiny()
	w.must(w.run(nil, "tls", "intermediate", "--dir", w.path("ca"), "--name", "reg", "--out", w.path("reg")))
	reg := w.newNode("registry", "reg", fmt.Sprintf("listen_tls = true\nca_cert_file = %q\nca_key_file = %q\n", w.path("reg", "issuer.pem"), w.path("reg", "issuer-key.pem")))
	reg.launch()
	operator := append(first.environment()[1:], "GRAPEVINE_ADDR=https://"+reg.ip+":7948")
	w.until("the registry answers for both", func() error {
		if _, stderr, code := w.run(operator, "host", "show", "sim-1"); code != 0 {
			return errors.New(stderr)
		}
		return nil
	})

	var token fleet.JoinToken
	out, stderr, code := w.run(operator, "token", "create", "-o", "json")
	if code != 0 {
		t.Fatal(stderr)
	}
	if err := json.Unmarshal([]byte(out), &token); err != nil {
		t.Fatal(err)
	}
	dir := w.path("new", "tls")
	address := reg.ip + ":7948"
	// A token of another fleet is no use here, and is not told to this node.
	other := newWorld(t)
	other.must(other.run(nil, "tls", "intermediate", "--dir", other.path("ca"), "--name", "x", "--out", other.path("x")))
	stranger := other.agent("other", 1024, fmt.Sprintf("ca_cert_file = %q\nca_key_file = %q\n", other.path("x", "issuer.pem"), other.path("x", "issuer-key.pem")))
	foreign, stderr, code := stranger.cli("token", "create")
	if code != 0 {
		t.Fatal(stderr)
	}
	if _, stderr, code := w.run(nil, "join", address, strings.TrimSpace(foreign), "--dir", dir, "--owner", ""); code != 1 || !strings.Contains(stderr, "not of the fleet that the token is for") {
		t.Fatalf("a token of another fleet: exit code %d: %s", code, stderr)
	}
	w.must(w.run(nil, "join", address, token.Token, "--dir", dir, "--name", "sim-2", "--owner", ""))
	for file, mode := range map[string]os.FileMode{"agent.pem": 0o644, "agent-key.pem": 0o600, "gossip.key": 0o600, "ca.pem": 0o644, "join": 0o644} {
		info, err := os.Stat(filepath.Join(dir, file))
		if err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v; want mode %o", file, info, err, mode)
		}
	}
	if _, stderr, code := w.run(nil, "join", address, token.Token, "--dir", dir, "--owner", ""); code != 1 || !strings.Contains(stderr, "has an identity already") {
		t.Errorf("a second identity: exit code %d: %s", code, stderr)
	}
	if _, stderr, code := w.run(nil, "join", address, token.Token, "--dir", w.path("again"), "--owner", ""); code != 1 || !strings.Contains(stderr, "it was used") {
		t.Errorf("a token that was used: exit code %d: %s", code, stderr)
	}

	ip := w.subnet + ".99"
	file := func(name string) string { return filepath.Join(dir, name) }
	built.Start(t, exec.Command(binary, "agent", "--config", "/dev/null", "--name", "sim-2", "--driver", "simulated",
		"--tls-ca", file("ca.pem"), "--tls-cert", file("agent.pem"), "--tls-key", file("agent-key.pem"), "--gossip-key-file", file("gossip.key"), "--join-file", file("join"),
		"--listen", ip+":7947", "--gossip-bind", ip+":7946", "--data-dir", w.path("new", "data"), "--socket", w.path("new", "agent.sock")), "sim-2", w.path("sim-2.log"))
	w.until("the new host is seen at the registry and takes a machine", func() error {
		_, stderr, code := w.run(operator, "instance", "create", "--name", "one", "--flavor", "nano", "--image", "tiny", "--host", "sim-2", "--key", token.ID, "--wait", "30s")
		if code != 0 {
			return errors.New(stderr)
		}
		return nil
	})
}
