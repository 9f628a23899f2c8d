package xenlab_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"grapevine/fleet"
	"grapevine/test/xenlab"
)

// packagesUnderTest names two packages, the older one first; make install-lab
// builds them and sets it.
const packagesUnderTest = "GRAPEVINE_INSTALL_LAB"

// The life of an installation as its operator knows it: installed, configured,
// killed, upgraded, rolled back, removed, installed again, purged. The guest
// runs on through all of it: it is the same domain, and booted once.
func TestPackageLivesAndTheGuestDoesNotNotice(t *testing.T) {
	older, newer, ok := strings.Cut(os.Getenv(packagesUnderTest), ":")
	if !ok {
		t.Skip("no packages to install: run make install-lab")
	}
	s := &station{t: t, host: xenlab.Start(t)}
	s.shell(fmt.Sprintf("date -s @%d", time.Now().Unix()))
	s.carry(older, newer)

	said := s.installs(older)
	if !strings.Contains(said, "nothing is started yet") {
		t.Errorf("the installation says %q, want what to do next", said)
	}
	s.is("disabled inactive", "a first installation starts nothing", "systemctl is-enabled grapevine-agent; systemctl is-active grapevine-agent")
	s.is("libvirt", "the agent's user may use libvirt", "id -nG grapevine | tr ' ' '\\n' | grep libvirt")
	s.configure()
	s.shell("systemctl enable --now grapevine-agent")
	s.grapevine("image import --name tiny --host xen-lab --cmdline 'console=hvc0 quiet'" +
		" --kernel /var/lib/libvirt/images/tiny-guest/vmlinuz --initrd /var/lib/libvirt/images/tiny-guest/initrd")
	s.grapevine("instance create --name stays --flavor nano --image tiny --wait 5m")
	before := s.state()
	if before.host.Hypervisor != fleet.Xen || before.row.Power != fleet.PowerRunning {
		t.Fatalf("the host runs %s, the instance is %s; want xen, running", before.host.Hypervisor, before.row.Power)
	}
	s.until("the guest has booted", "grapevine instance log stays | grep -c 'tiny-guest: up'", "1")

	s.comesBack("it was killed", "KILL", before)
	for _, step := range []struct{ what, file string }{{"the upgrade", newer}, {"the roll-back", older}} {
		pid := s.shell("systemctl show -P MainPID grapevine-agent")
		s.installs(step.file)
		if s.shell("systemctl show -P MainPID grapevine-agent") == pid {
			t.Errorf("after %s the old agent still runs", step.what)
		}
		s.is("active", "after "+step.what+" the agent runs", "systemctl is-active grapevine-agent")
		s.is(versionOf(step.file), "after "+step.what+" it is the package's", "dpkg-query -W -f '${Version}' grapevine")
		s.is("1", "an edited configuration is kept", "grep -c '^libvirt_uri' /etc/grapevine/agent.toml")
		s.same(step.what, before)
	}

	s.shell("dpkg -r grapevine")
	s.is("inactive", "a removed package's agent is stopped", "systemctl is-active grapevine-agent")
	s.is("/etc/grapevine/agent.toml", "a removal keeps the configuration", "ls /etc/grapevine/agent.toml")
	s.is(strings.Join(strings.Fields(before.domain), " "), "the guest outlives the removal", "virsh -q list --id")
	s.installs(newer)
	s.shell("systemctl enable --now grapevine-agent")
	s.same("it was installed again", before)

	s.shell("dpkg --purge grapevine")
	s.is("gone", "a purge takes the configuration away", "test -e /etc/grapevine/agent.toml || echo gone")
	s.is("/etc/grapevine/tls/agent.pem /var/lib/grapevine/agent", "a purge leaves who the host is", "ls -d /etc/grapevine/tls/agent.pem /var/lib/grapevine/agent")
	s.is(strings.Join(strings.Fields(before.domain), " "), "the guest outlives the purge", "virsh -q list --id")
}

// versionOf is the version that is in a package's name.
func versionOf(file string) string { return strings.Split(filepath.Base(file), "_")[1] }

// carry puts files into root's home on the host.
func (s *station) carry(files ...string) {
	s.t.Helper()
	tree := s.t.TempDir()
	for _, file := range files {
		content, err := os.ReadFile(file)
		must(s.t, err)
		must(s.t, os.MkdirAll(filepath.Join(tree, "root"), 0o700))
		must(s.t, os.WriteFile(filepath.Join(tree, "root", filepath.Base(file)), content, 0o600))
	}
	s.unpack(tree)
}

// unpack lays a tree over the host's root folder.
func (s *station) unpack(tree string) {
	s.t.Helper()
	archive := filepath.Join(s.t.TempDir(), "tree.tar")
	out, err := exec.CommandContext(s.t.Context(), "tar", "-C", tree, "-cf", archive, ".").CombinedOutput()
	if err != nil {
		s.t.Fatalf("pack a tree: %v: %s", err, out)
	}
	file, err := os.Open(archive)
	must(s.t, err)
	defer file.Close()
	must(s.t, s.host.Unpack(s.t.Context(), file))
}

// installs installs a package, upgrading or downgrading what is there.
func (s *station) installs(file string) string {
	s.t.Helper()
	began := time.Now()
	said := s.shell("DEBIAN_FRONTEND=noninteractive dpkg -i /root/" + filepath.Base(file) + " 2>&1")
	s.t.Logf("installed %s in %.0f s: %s", filepath.Base(file), time.Since(began).Seconds(), said)
	return said
}

// configure does what README.md has an operator do, with the program that is
// installed: certificates made there, one key changed in the packaged file.
func (s *station) configure() {
	s.t.Helper()
	s.shell("cd /root && grapevine tls init --dir ca --fleet lab && grapevine tls issue --dir ca --role agent --name xen-lab --out /etc/grapevine/tls" +
		" && chown -R grapevine: /etc/grapevine/tls" +
		` && sed -i 's|^#libvirt_uri = .*|libvirt_uri = "xen:///system"|' /etc/grapevine/agent.toml`)
	// Emulated, all takes its time.
	s.shell("mkdir -p /etc/systemd/system/grapevine-agent.service.d && printf '[Service]\nTimeoutStartSec=20min\n' " +
		">/etc/systemd/system/grapevine-agent.service.d/lab.conf && systemctl daemon-reload")
	s.t.Logf("doctor, before the start:\n%s", s.shell("grapevine doctor || true"))
}

// is compares what a command prints, on one line, whatever it ends with.
func (s *station) is(want, what, command string) {
	s.t.Helper()
	if got := strings.Join(strings.Fields(s.shell("{ "+command+"; } || true")), " "); got != want {
		s.t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

// until waits until a command prints this.
func (s *station) until(what, command, want string) {
	s.t.Helper()
	late := time.Now().Add(patience)
	for {
		got := strings.TrimSpace(s.shell("{ GRAPEVINE_ADDR=unix:///run/grapevine/agent.sock " + command + "; } || true"))
		if got == want {
			return
		}
		if time.Now().After(late) {
			s.t.Fatalf("%s: got %q within %s, want %q", what, got, patience, want)
		}
	}
}

// same: the agent shows the host and the instance that it showed before, which
// is the same domain and has booted once.
func (s *station) same(what string, before state) {
	s.t.Helper()
	now := s.state()
	if now.host.ID != before.host.ID || now.row.ID != before.row.ID || now.row.Power != fleet.PowerRunning || now.row.Ownership != fleet.Managed {
		s.t.Errorf("after %s: host %s, instance %+v; was %s, %+v", what, now.host.ID, now.row, before.host.ID, before.row)
	}
	if now.domain != before.domain {
		s.t.Errorf("after %s the domains are %q, and were %q: the guest did not go on", what, now.domain, before.domain)
	}
	s.until("the guest has booted once", "grapevine instance log stays | grep -c 'tiny-guest: up'", "1")
}
