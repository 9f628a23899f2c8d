package cli

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"grapevine/identity"
)

func TestIssuedFilesAreWhatANodeLoads(t *testing.T) {
	dir := t.TempDir()
	runNow(t, nil, "tls", "init", "--dir", dir+"/ca", "--fleet", "one").wants(t, 0, "fleet one: made ca.pem", "")
	runNow(t, nil, "tls", "issue", "--dir", dir+"/ca", "--role", "agent", "--id", id(7).String(), "--name", "kvm-1", "--host", "kvm-1.example.org", "--out", dir+"/a").wants(t, 0, id(7).String(), "")
	node, err := identity.Load(identity.Files{CA: dir + "/a/ca.pem", Cert: dir + "/a/agent.pem", Key: dir + "/a/agent-key.pem"}, time.Now(), identity.Agent)
	if err != nil {
		t.Fatal(err)
	}
	if got := node.Subject(); got.ID != id(7) || got.Name != "kvm-1" || got.Fleet != "one" {
		t.Errorf("got %v", got)
	}
	if _, err := identity.LoadGossipKey(dir + "/a/gossip.key"); err != nil {
		t.Error(err)
	}
	for _, secret := range []string{"ca/ca-key.pem", "ca/gossip.key", "a/agent-key.pem", "a/gossip.key"} {
		info, err := os.Stat(filepath.Join(dir, secret))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %o, want 600", secret, info.Mode().Perm())
		}
	}
}

func TestTLSReplacesNothing(t *testing.T) {
	dir := t.TempDir()
	runNow(t, nil, "tls", "init", "--dir", dir+"/ca", "--fleet", "one").wants(t, 0, "", "")
	runNow(t, nil, "tls", "init", "--dir", dir+"/ca", "--fleet", "one").wants(t, 1, "", "exists already and is not replaced")
	runNow(t, nil, "tls", "issue", "--dir", dir+"/ca", "--role", "registry", "--name", "r", "--out", dir+"/r").wants(t, 0, "", "")
	runNow(t, nil, "tls", "issue", "--dir", dir+"/ca", "--role", "registry", "--name", "r", "--out", dir+"/r").wants(t, 1, "", "exists already")
	runNow(t, nil, "tls", "init", "--dir", dir+"/ca2", "--fleet", "two").wants(t, 0, "", "")
	runNow(t, nil, "tls", "issue", "--dir", dir+"/ca2", "--role", "agent", "--name", "a", "--out", dir+"/r").wants(t, 1, "", "is that of another fleet")
}

func TestOperatorsGetNoGossipKey(t *testing.T) {
	dir := t.TempDir()
	runNow(t, nil, "tls", "init", "--dir", dir+"/ca", "--fleet", "one").wants(t, 0, "", "")
	runNow(t, nil, "tls", "issue", "--dir", dir+"/ca", "--role", "operator", "--name", "me", "--out", dir+"/me").wants(t, 0, "", "")
	if _, err := os.Stat(dir + "/me/gossip.key"); err == nil {
		t.Error("an operator got the gossip key")
	}
	runNow(t, nil, "tls", "issue", "--dir", dir+"/ca", "--role", "king", "--name", "me", "--out", dir+"/k").wants(t, 1, "", `role "king" is not one of agent, registry, operator`)
	runNow(t, nil, "tls", "issue", "--dir", dir+"/nowhere", "--role", "agent", "--name", "a", "--out", dir+"/k").wants(t, 1, "", "does not exist")
	if _, err := os.Stat(dir + "/k"); err == nil {
		t.Error("a failed issue left its folder behind")
	}
}
