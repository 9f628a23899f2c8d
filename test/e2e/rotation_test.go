package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"grapevine/fleet"
)

// Real processes: certificates that are about to end renew themselves at a registry
// that holds an intermediate, the root is replaced by a new one, and a host is
// revoked; no process is restarted.
func TestCertificatesRenewTheRootIsRotatedAndAHostIsRevoked(t *testing.T) {
	w := newWorld(t)
	w.pause = 300 * time.Millisecond // a look is a process, and asks all nodes
	first := w.agent("sim-1", 4096, "")
	second := w.newNode("agent", "sim-2", fmt.Sprintf("driver = \"simulated\"\nsimulated_dir = %q\nsimulated_memory_mib = 4096\n", w.path("sim-2", "hypervisor")))
	if err := errors.Join(os.Remove(w.path("sim-2", "agent.pem")), os.Remove(w.path("sim-2", "agent-key.pem"))); err != nil {
		t.Fatal(err)
	}
	w.must(w.run(nil, "tls", "issue", "--dir", w.path("ca"), "--role", "agent", "--name", "sim-2", "--id", second.id, "--lifetime", "3m", "--out", w.path("sim-2")))
	began := time.Now()
	second.start()
	w.must(w.run(nil, "tls", "intermediate", "--dir", w.path("ca"), "--name", "reg", "--out", w.path("reg")))
	reg := w.newNode("registry", "reg", fmt.Sprintf("listen_tls = true\nca_cert_file = %q\nca_key_file = %q\n", w.path("reg", "issuer.pem"), w.path("reg", "issuer-key.pem")))
	reg.launch()
	operator := append(first.environment()[1:], "GRAPEVINE_ADDR=https://"+reg.ip+":7948")
	report := func(env []string) (out fleet.TrustReport, err error) {
		text, stderr, code := w.run(env, "tls", "rotate", "status", "-o", "json")
		if code != 0 {
			return out, errors.New(stderr)
		}
		return out, json.Unmarshal([]byte(text), &out)
	}
	all := func(env []string, holds func(*fleet.TrustReport, *fleet.TrustNode) bool) func() error {
		return func() error {
			r, err := report(env)
			if err != nil {
				return err
			}
			if len(r.Nodes) != 3 {
				return fmt.Errorf("%d nodes answer", len(r.Nodes))
			}
			for i := range r.Nodes {
				if n := &r.Nodes[i]; n.Error != "" || !holds(&r, n) {
					return fmt.Errorf("%s: %+v", n.Name, n)
				}
			}
			return nil
		}
	}
	w.until("all three answer, and the certificate that is about to end is renewed", all(operator, func(_ *fleet.TrustReport, n *fleet.TrustNode) bool {
		return n.Until.After(began.Add(30 * time.Minute))
	}))

	w.must(w.run(operator, "tls", "rotate", "begin", "--dir", w.path("ca")))
	w.until("all trust both roots", all(operator, func(_ *fleet.TrustReport, n *fleet.TrustNode) bool { return len(n.Trusts) == 2 && n.Number == 1 }))
	w.must(w.run(operator, "tls", "rotate", "renew", "--dir", w.path("ca")))
	w.must(w.run(nil, "tls", "issue", "--dir", w.path("ca"), "--role", "operator", "--name", "me", "--out", w.path("me")))
	me := []string{
		"GRAPEVINE_ADDR=https://" + reg.ip + ":7948", "GRAPEVINE_CACERT=" + w.path("me", "ca.pem"),
		"GRAPEVINE_CERT=" + w.path("me", "operator.pem"), "GRAPEVINE_KEY=" + w.path("me", "operator-key.pem"),
	}
	w.until("all have certificates of the new root", all(me, func(r *fleet.TrustReport, n *fleet.TrustNode) bool {
		return n.Root == r.Roots[0].Name && (n.IssuerRoot == "" || n.IssuerRoot == n.Root)
	}))
	if _, stderr, code := w.run(operator, "tls", "rotate", "finish", "--dir", w.path("ca")); code == 0 {
		t.Errorf("by a certificate of the old root it is dropped: exit code %d: %s", code, stderr)
	}
	w.until("the old root is dropped", func() error {
		if _, stderr, code := w.run(me, "tls", "rotate", "finish", "--dir", w.path("ca")); code != 0 && !strings.Contains(stderr, "no rotation of the root is under way") {
			return errors.New(stderr)
		}
		return all(me, func(_ *fleet.TrustReport, n *fleet.TrustNode) bool { return len(n.Trusts) == 1 && n.Number == 3 })()
	})
	if _, _, code := w.run(operator, "host", "list"); code == 0 {
		t.Error("a certificate of the old root is taken")
	}
	if _, err := os.Stat(filepath.Join(w.path("ca"), "old-ca-key.pem")); err != nil {
		t.Error(err)
	}

	w.must(w.run(me, "host", "revoke", "sim-2", "--reason", "stolen", "--yes"))
	w.until("it counts as gone, its row stays, and the other is heard", func() error {
		for name, want := range map[string]fleet.Reachability{"sim-1": fleet.ReachOK, "sim-2": fleet.ReachUnreachable} {
			out, stderr, code := w.run(me, "host", "show", name, "-o", "json")
			if code != 0 {
				return errors.New(stderr)
			}
			var row fleet.Host
			if err := json.Unmarshal([]byte(out), &row); err != nil {
				return err
			}
			if row.Reachability != want {
				return fmt.Errorf("%s is %s", name, row.Reachability)
			}
		}
		return nil
	})
}
