package xenlab_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"grapevine/fleet"
	"grapevine/test/built"
	"grapevine/test/xenlab"
)

// systemd runs the agent on the Xen host, as it is installed there, and brings
// it back when it was killed and when it hangs. It knows its host and its
// instances again, which went on all the while.
func TestSystemdBringsTheAgentBack(t *testing.T) {
	host := xenlab.Start(t)
	s := install(t, host)
	s.shell("systemctl enable --now grapevine-agent")
	s.grapevine("image import --name tiny --host xen-lab --cmdline 'console=hvc0 quiet'" +
		" --kernel /var/lib/libvirt/images/tiny-guest/vmlinuz --initrd /var/lib/libvirt/images/tiny-guest/initrd")
	s.grapevine("instance create --name stays --flavor nano --image tiny --wait 5m")
	before := s.state()
	if before.host.Hypervisor != fleet.Xen || before.row.Power != fleet.PowerRunning || before.row.Ownership != fleet.Managed {
		t.Fatalf("the host runs %s, the instance is %s and %s; want xen, running, managed", before.host.Hypervisor, before.row.Power, before.row.Ownership)
	}
	if got := strings.TrimSpace(s.shell("systemctl show -P WatchdogUSec grapevine-agent")); got == "0" || got == "" {
		t.Errorf("WatchdogUSec is %q, want the watchdog on", got)
	}

	s.comesBack("it was killed", "KILL", before)
	s.comesBack("it hung", "STOP", before)
	if said := s.shell("journalctl -u grapevine-agent | grep -c 'Watchdog timeout'"); strings.TrimSpace(said) == "0" {
		t.Error("the journal has no word of the watchdog")
	}

	s.shell("systemctl stop grapevine-agent")
	if left := strings.Fields(s.shell("virsh -q list --name")); len(left) != 2 {
		t.Errorf("with the agent stopped, these run: %v; want Domain-0 and the instance", left)
	}
}

// station is an agent installed on the Xen host.
type station struct {
	t    *testing.T
	host *xenlab.Host
}

// install puts the program, the units, a certificate and a configuration onto
// the host, and sets its clock, which stands where the host was saved.
func install(t *testing.T, host *xenlab.Host) *station {
	t.Helper()
	s := &station{t: t, host: host}
	s.shell(fmt.Sprintf("date -s @%d", time.Now().Unix()))
	tree := t.TempDir()
	binary, err := built.Binary(t.TempDir())
	must(t, err)
	run := func(name string, args ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), name, args...)
		cmd.Env = append(os.Environ(), "DESTDIR="+tree, "BINARY="+binary)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", name, err, out)
		}
	}
	run("../../scripts/install-files", "install")
	ca := filepath.Join(t.TempDir(), "ca")
	run(binary, "tls", "init", "--dir", ca, "--fleet", "lab")
	run(binary, "tls", "issue", "--dir", ca, "--role", "agent", "--name", "xen-lab", "--out", filepath.Join(tree, "etc/grapevine/tls"))
	write := func(path, text string) {
		t.Helper()
		path = filepath.Join(tree, path)
		must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		must(t, os.WriteFile(path, []byte(text), 0o644))
	}
	write("etc/grapevine/agent.toml", "libvirt_uri = \"xen:///system\"\n")
	// Emulated, all takes its time.
	write("etc/systemd/system/grapevine-agent.service.d/lab.conf", "[Service]\nTimeoutStartSec=20min\n")

	archive := filepath.Join(t.TempDir(), "tree.tar")
	run("tar", "-C", tree, "-cf", archive, "etc", "usr")
	file, err := os.Open(archive)
	must(t, err)
	defer file.Close()
	must(t, host.Unpack(t.Context(), file))
	s.shell("systemd-sysusers && chown -R grapevine: /etc/grapevine && systemctl daemon-reload")
	return s
}

func (s *station) shell(command string) string {
	s.t.Helper()
	out, err := s.host.Shell(s.t.Context(), command)
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

// grapevine runs the command line on the host, against the agent's own socket.
func (s *station) grapevine(args string) string {
	s.t.Helper()
	return s.shell("GRAPEVINE_ADDR=unix:///run/grapevine/agent.sock grapevine " + args)
}

// state is what the agent says of its host and of the one instance, and which
// domain that is.
type state struct {
	host   fleet.Host
	row    fleet.Instance
	domain string
}

func (s *station) state() state {
	s.t.Helper()
	var hosts fleet.List[fleet.Host]
	var rows fleet.List[fleet.Instance]
	must(s.t, json.Unmarshal([]byte(s.grapevine("host list -o json")), &hosts))
	must(s.t, json.Unmarshal([]byte(s.grapevine("instance list -o json")), &rows))
	if len(hosts.Items) != 1 || len(rows.Items) != 1 {
		s.t.Fatalf("got %+v and %+v, want one host and one instance", hosts, rows)
	}
	return state{host: hosts.Items[0], row: rows.Items[0], domain: s.shell("virsh -q list --id")}
}

// comesBack sends the agent a signal and waits until systemd has started
// another one, which finds all as it was.
func (s *station) comesBack(what, signal string, before state) {
	s.t.Helper()
	count := func() (n int) {
		s.t.Helper()
		_, err := fmt.Sscan(s.shell("systemctl show -P NRestarts grapevine-agent"), &n)
		must(s.t, err)
		return n
	}
	restarts := count()
	s.shell("systemctl kill --kill-who=main --signal=" + signal + " grapevine-agent")
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	for count() == restarts || strings.TrimSpace(s.shell("systemctl is-active grapevine-agent || true")) != "active" {
		if ctx.Err() != nil {
			s.t.Fatalf("systemd has not started it again within %s after %s:\n%s", patience, what, s.shell("systemctl status --no-pager grapevine-agent || true"))
		}
	}
	s.t.Logf("after %s systemd has started it again", what)
	now := s.state()
	if now.host.ID != before.host.ID {
		s.t.Errorf("after %s the host is %s, and was %s", what, now.host.ID, before.host.ID)
	}
	if now.row.ID != before.row.ID || now.row.Power != fleet.PowerRunning || now.row.Ownership != fleet.Managed || now.row.Name != "stays" {
		s.t.Errorf("after %s the instance is %+v, and was %+v", what, now.row, before.row)
	}
	if now.domain != before.domain {
		s.t.Errorf("after %s the domains are %q, and were %q: the instance did not go on", what, now.domain, before.domain)
	}
}
