package openstack

import (
	"crypto/ed25519"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

// publicKey writes the public half of a key pair to a file, as ssh-keygen does.
func publicKey(t *testing.T) string {
	t.Helper()
	public, err := ssh.NewPublicKey(ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)).Public())
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "key.pub")
	if err := os.WriteFile(path, ssh.MarshalAuthorizedKey(public), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestAUsersHourWithTheOpenstackCommand is what a user does: look around, create,
// stop, reboot, delete, and be refused.
func TestAUsersHourWithTheOpenstackCommand(t *testing.T) {
	needed(t, "openstack")
	if got := names(member.list(t, "flavor", "list"), "Name"); !slices.Equal(got, []string{"nano", "tiny", "small", "medium", "large"}) {
		t.Errorf("flavors %q", got)
	}
	if got := names(member.list(t, "image", "list"), "Name"); !slices.Equal(got, []string{"tiny"}) {
		t.Errorf("images %q", got)
	}
	if got := names(member.list(t, "availability", "zone", "list"), "Zone Name"); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("zones %q", got)
	}
	member.run(t, "keypair", "create", "--public-key", publicKey(t), "mine")
	created := member.one(t, "server", "create", "--flavor", "tiny", "--image", "tiny", "--network", "default", "--key-name", "mine",
		"--property", "tier=db", "--availability-zone", "a", "--wait", "web")
	properties, _ := created["properties"].(map[string]any)
	if created["status"] != "ACTIVE" || created["key_name"] != "mine" || created["OS-EXT-AZ:availability_zone"] != "a" || created["user_id"] != "demo" || properties["tier"] != "db" {
		t.Errorf("created %v", created)
	}
	member.run(t, "server", "stop", "web")
	member.run(t, "server", "create", "--flavor", "nano", "--image", "tiny", "--min", "2", "--max", "2", "--wait", "pair")
	rows := member.list(t, "server", "list", "--sort-column", "Name")
	if got := names(rows, "Name"); !slices.Equal(got, []string{"pair-1", "pair-2", "web"}) || rows[2]["Status"] != "SHUTOFF" || rows[2]["Image"] != "tiny" {
		t.Errorf("servers %v", rows)
	}
	member.run(t, "server", "reboot", "--hard", "--wait", "pair-1")
	member.refused(t, "No server with a name or ID of 'nothing'", "server", "show", "nothing")
	member.refused(t, "huge", "server", "create", "--flavor", "huge", "--image", "tiny", "x")
	member.refused(t, "HTTP 403", "hypervisor", "list")
	member.refused(t, "HTTP 401", "--os-password", "wrong", "server", "list")
	member.refused(t, "HTTP 401", "--os-project-name", "default", "server", "list")
	member.run(t, "server", "delete", "--wait", "web", "pair-1", "pair-2")
	member.run(t, "keypair", "delete", "mine")
	if got := strings.TrimSpace(member.run(t, "server", "list", "-f", "value")); got != "" {
		t.Errorf("after all is deleted there is %s", got)
	}
}

// TestAnOperatorsHourWithTheOpenstackCommand sees all projects and hosts, and takes
// one of them out of use.
func TestAnOperatorsHourWithTheOpenstackCommand(t *testing.T) {
	needed(t, "openstack")
	hosts := admin.list(t, "hypervisor", "list", "--long")
	if len(hosts) != 6 || hosts[0]["State"] != "up" || hosts[0]["vCPUs"] == 0.0 {
		t.Errorf("hypervisors %v", hosts)
	}
	if got := names(admin.list(t, "project", "list"), "Name"); !slices.Equal(got, []string{"default", "demo"}) {
		t.Errorf("projects %q", got)
	}
	admin.run(t, "compute", "service", "set", "--disable", "kvm-1", "nova-compute")
	services := admin.list(t, "compute", "service", "list", "--host", "kvm-1")
	if len(services) != 1 || services[0]["Status"] != "disabled" || services[0]["State"] != "up" {
		t.Errorf("services %v", services)
	}
	admin.refused(t, "HTTP 409", "server", "create", "--flavor", "tiny", "--image", "tiny", "--availability-zone", "a:kvm-1", "there")
	admin.run(t, "compute", "service", "set", "--enable", "kvm-1", "nova-compute")
	placed := admin.one(t, "server", "create", "--flavor", "tiny", "--image", "tiny", "--availability-zone", "a:kvm-1", "--wait", "there")
	if placed["OS-EXT-SRV-ATTR:host"] != "kvm-1" || placed["project_id"] != "default" {
		t.Errorf("placed %v", placed)
	}
	if rows := member.list(t, "server", "list"); len(rows) != 0 {
		t.Errorf("a member sees %v", rows)
	}
	admin.run(t, "server", "delete", "--wait", "there")
}
