package e2e

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"grapevine/fleet"
	"grapevine/internal/leaveout"
	"grapevine/internal/testlog"
)

// stock is the serf command of Debian's package, and the agent it talks to.
type stock struct {
	t            *testing.T
	tool         string
	addr, secret string
}

// serfTool returns where the stock command is.
func serfTool(t *testing.T) string {
	t.Helper()
	tool, err := exec.LookPath("serf")
	if err != nil {
		leaveout.Test(t, "the stock serf command is not installed (Debian package serf)")
	}
	return tool
}

// run runs a serf command and returns all it prints.
func (s *stock) run(args ...string) (string, error) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, s.tool, args...)
	cmd.Env = append(os.Environ(), "SERF_RPC_ADDR="+s.addr, "SERF_RPC_AUTH="+s.secret)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// says runs a command that must succeed and print all parts.
func (s *stock) says(parts []string, args ...string) {
	s.t.Helper()
	out, err := s.run(args...)
	if err != nil {
		s.t.Errorf("serf %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	for _, part := range parts {
		if !strings.Contains(out, part) {
			s.t.Errorf("serf %s does not say %q but:\n%s", strings.Join(args, " "), part, out)
		}
	}
}

// fails runs a command that must fail and print a part.
func (s *stock) fails(part string, args ...string) {
	s.t.Helper()
	if out, err := s.run(args...); err == nil || !strings.Contains(out, part) {
		s.t.Errorf("serf %s: %v, and not %q but:\n%s", strings.Join(args, " "), err, part, out)
	}
}

// fleetWithSerf runs three agents, the first of which answers the stock
// command.
func fleetWithSerf(t *testing.T) (*world, []*node, *stock) {
	t.Helper()
	tool, w, secret := serfTool(t), newWorld(t), strings.Repeat("secret", 4)
	if err := os.WriteFile(w.path("serf-secret"), []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	addr := w.subnet + ".1:7373"
	nodes := []*node{
		w.agent("sim-1", 1024, fmt.Sprintf("serf_rpc = %q\nserf_rpc_auth = %q\n", addr, w.path("serf-secret"))),
		w.agent("sim-2", 1024, ""), w.agent("sim-3", 1024, ""),
	}
	s := &stock{t: t, tool: tool, addr: addr, secret: secret}
	w.until("all three know each other", func() error { return s.alive(3) })
	return w, nodes, s
}

// alive returns nil when so many members are.
func (s *stock) alive(want int) error {
	out, err := s.run("members", "-status=alive")
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	if got := strings.Count(out, "alive"); got != want {
		return fmt.Errorf("%d members are alive, want %d:\n%s", got, want, out)
	}
	return nil
}

func TestStockSerfCommandWorksAgainstAnAgent(t *testing.T) {
	w, nodes, s := fleetWithSerf(t)
	first, second, third := nodes[0], nodes[1], nodes[2]

	t.Run("nothing without the secret", func(t *testing.T) {
		for _, secret := range []string{"", "wrong"} {
			thief := &stock{t: t, tool: s.tool, addr: s.addr, secret: secret}
			for _, command := range []string{"members", "leave", "info"} {
				thief.fails("uthentication", command)
			}
		}
	})
	t.Run("members", func(t *testing.T) {
		s.t = t
		s.says([]string{first.id, second.id, third.id, third.ip + ":7946", "r=a"}, "members")
		s.says([]string{third.id, "n=sim-3"}, "members", "-detailed", "-tag", "n=sim-3")
		out, _ := s.run("members", "-name", third.id)
		if strings.Contains(out, second.id) {
			t.Errorf("members -name shows others:\n%s", out)
		}
	})
	t.Run("info", func(t *testing.T) {
		s.t = t
		s.says([]string{"name = " + first.id, "encrypted = true", "members = 3"}, "info")
	})
	t.Run("rtt", func(t *testing.T) {
		w.until("coordinates are known", func() error {
			out, err := s.run("rtt", second.id, third.id)
			if err != nil {
				return fmt.Errorf("%w: %s", err, out)
			}
			if !strings.Contains(out, "Estimated") {
				return errors.New(out)
			}
			return nil
		})
	})
	t.Run("reachability", func(t *testing.T) {
		s.t = t
		s.says([]string{"Successfully contacted all live nodes"}, "reachability")
	})
	t.Run("query", func(t *testing.T) {
		s.t = t
		s.says([]string{"Ack from '" + third.id + "'", "Total Acks: 3"}, "query", "-timeout=3s", "who")
		s.fails("prefix", "query", "_serf_install-key", "x")
	})
	t.Run("monitor", func(t *testing.T) { s.monitors(t, w, second.id) })
	t.Run("event", func(t *testing.T) {
		s.t = t
		s.says([]string{"dispatched"}, "event", "deployed", "now")
	})
	t.Run("tags are Grapevine's", func(t *testing.T) {
		s.t = t
		s.fails("not changed from outside", "tags", "-set", "r=g")
	})
	t.Run("leave", func(t *testing.T) {
		s.t = t
		s.says([]string{"Graceful leave complete"}, "leave")
		w.until("the others list it as left", func() error {
			if out := second.do("mesh", "members"); !strings.Contains(out, "left") {
				return errors.New(out)
			}
			return nil
		})
		if n := len(first.hosts().Items); n != 3 {
			t.Errorf("the agent that left answers with %d hosts, want 3", n)
		}
	})
}

// monitors runs the command that shows the log until it has shown a part.
func (s *stock) monitors(t *testing.T, w *world, part string) {
	t.Helper()
	var out testlog.Log
	cmd := exec.Command(s.tool, "monitor", "-log-level=debug")
	cmd.Env = append(os.Environ(), "SERF_RPC_ADDR="+s.addr, "SERF_RPC_AUTH="+s.secret)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	w.until("monitor shows lines", func() error {
		if text := out.String(); !strings.Contains(text, "EventMemberJoin: "+part) {
			return errors.New(text)
		}
		return nil
	})
}

func TestGossipKeysChangeByStockSerfAndSurviveAKill(t *testing.T) {
	w, nodes, s := fleetWithSerf(t)
	old, err := os.ReadFile(w.path("ca", "gossip.key"))
	if err != nil {
		t.Fatal(err)
	}
	out, err := s.run("keygen")
	if err != nil {
		t.Fatal(err)
	}
	fresh, before := strings.TrimSpace(out), strings.TrimSpace(string(old))
	s.fails("do not hold the key", "keys", "-use", fresh)
	s.says(nil, "keys", "-install", fresh)
	s.says([]string{before + "  [3/3]", fresh + "  [3/3]"}, "keys", "-list")
	s.says(nil, "keys", "-use", fresh)
	s.says(nil, "keys", "-remove", before)
	out, err = s.run("keys", "-list")
	if err != nil || strings.Contains(out, before) || !strings.Contains(out, fresh+"  [3/3]") {
		t.Errorf("after the old key is removed: %v\n%s", err, out)
	}

	last := nodes[2]
	last.kill()
	last.start()
	w.until("the killed agent is back with the new key", func() error { return s.alive(3) })
	key, err := base64.StdEncoding.DecodeString(fresh)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range nodes {
		w.until(n.name+" says that its keys changed, or holds them since its start", func() error {
			log := readLog(t, w, n)
			if n != last && !strings.Contains(log, fleet.GossipKeyFingerprint(key)) {
				return errors.New(log)
			}
			return nil
		})
		for _, hidden := range []string{fresh, before, s.secret} {
			if strings.Contains(readLog(t, w, n), hidden) {
				t.Errorf("the log of %s holds a secret", n.name)
			}
		}
	}
}

func readLog(t *testing.T, w *world, n *node) string {
	t.Helper()
	data, err := os.ReadFile(w.path(n.name + ".log"))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestSerfCommandIsNotAnsweredUnguarded(t *testing.T) {
	w := newWorld(t)
	secret := func(name, text string, mode os.FileMode) string {
		if err := os.WriteFile(w.path(name), []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("serf_rpc_auth = %q\n", w.path(name))
	}
	for name, c := range map[string]struct{ keys, want string }{
		"without a secret":    {"serf_rpc = \"127.0.0.1:7373\"\n", "serf_rpc_auth is not set"},
		"for other machines":  {"serf_rpc = \"0.0.0.0:7373\"\n" + secret("a", "0123456789abcdef", 0o600), "other machines can reach"},
		"with no port":        {"serf_rpc = \"127.0.0.1\"\n" + secret("b", "0123456789abcdef", 0o600), "not of the form host:port"},
		"with a short secret": {"serf_rpc = \"127.0.0.1:7373\"\n" + secret("c", "short", 0o600), "at least 16"},
		"with an open secret": {"serf_rpc = \"127.0.0.1:7373\"\n" + secret("d", "0123456789abcdef", 0o644), "open to every user"},
		"with no file":        {"serf_rpc = \"127.0.0.1:7373\"\nserf_rpc_auth = \"/nowhere/secret\"\n", "/nowhere/secret"},
	} {
		n := w.newNode("agent", "sim-"+strings.ReplaceAll(name, " ", "-"), "driver = \"simulated\"\n"+c.keys)
		_, stderr, code := w.run(nil, "agent", "--config", n.config)
		if code == 0 || !strings.Contains(stderr, c.want) || strings.Contains(stderr, "0123456789abcdef") {
			t.Errorf("%s it ends with %d and says, without %q: %s", name, code, c.want, stderr)
		}
	}
}
