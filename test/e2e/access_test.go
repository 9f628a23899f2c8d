package e2e

import (
	"path/filepath"
	"strings"
	"testing"
)

// Who may open the agent's socket needs nothing else; over the network an
// agent's own certificate reads and does not write, and none at all gets
// nothing.
func TestSocketAndCertificatesSayWhoMayDoWhat(t *testing.T) {
	w := newWorld(t)
	a := w.agent("sim-1", 1024, "")
	w.issue("agent", "sim-2", "")
	ca := "GRAPEVINE_CACERT=" + w.path("operator", "ca.pem")
	for _, c := range []struct {
		name        string
		env         []string
		read, write int    // exit codes
		words       string // in what a refused write says
	}{
		{"by the socket", []string{"GRAPEVINE_ADDR=unix://" + w.path("sim-1", "agent.sock")}, 0, 0, ""},
		{"as an operator", a.environment(), 0, 0, ""},
		{"as an agent", []string{
			"GRAPEVINE_ADDR=" + a.addr(), ca, "GRAPEVINE_CERT=" + filepath.Join(w.path("sim-2"), "agent.pem"),
			"GRAPEVINE_KEY=" + filepath.Join(w.path("sim-2"), "agent-key.pem"),
		}, 0, 1, "agent"},
		{"as nobody", []string{"GRAPEVINE_ADDR=" + a.addr(), ca}, 1, 1, "certificate"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, stderr, code := w.run(c.env, "instance", "list"); code != c.read {
				t.Errorf("instance list: got exit code %d, want %d: %s", code, c.read, stderr)
			}
			_, stderr, code := w.run(c.env, "host", "cordon", "sim-1")
			if code != c.write || !strings.Contains(stderr, c.words) {
				t.Errorf("host cordon: got exit code %d and %q, want %d and %q", code, stderr, c.write, c.words)
			}
		})
	}
}
