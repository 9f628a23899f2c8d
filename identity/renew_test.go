package identity

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A node that was cut between the certificate and its key goes on with the
// pending key, which the next renewal must not overwrite before its own
// certificate is there.
func TestRenewalAfterOneThatWasCutKeepsAMatchingPair(t *testing.T) {
	now := time.Now()
	ca, err := NewCA("home", now)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	files := Files{CA: filepath.Join(dir, "ca.pem"), Cert: filepath.Join(dir, "agent.pem"), Key: filepath.Join(dir, "agent-key.pem")}
	subject := Subject{Role: Agent, ID: [16]byte{1}, Name: "one"}
	issue := func(life time.Duration) Pair {
		pair, err := ca.Issue(subject, life, now)
		if err != nil {
			t.Fatal(err)
		}
		return pair
	}
	first, second, third := issue(time.Hour), issue(2*time.Hour), issue(3*time.Hour)
	if err := Install(files, ca.CertPEM(), first, Owner{}); err != nil {
		t.Fatal(err)
	}
	// The cut: a new certificate, its key pending, the old key in its place.
	for path, content := range map[string][]byte{files.Cert: second.CertPEM, files.Key + pendingSuffix: second.KeyPEM} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	own, err := Load(files, now, Agent)
	if err != nil {
		t.Fatal(err)
	}
	if err := endInstall(files); err != nil {
		t.Fatal(err)
	}
	// As if the next one were cut after its key.
	if err := os.WriteFile(files.Key+pendingSuffix, third.KeyPEM, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(files, now, Agent); err != nil {
		t.Errorf("after a cut within the next renewal: %v", err)
	}
	if err := own.Renew(files, third, now); err != nil {
		t.Fatal(err)
	}
	kept, err := Load(files, now, Agent)
	if err != nil || kept.Fingerprint() != own.Fingerprint() {
		t.Errorf("what is kept is not what is used: %v", err)
	}
	if _, err := os.Stat(files.Key + pendingSuffix); err == nil {
		t.Error("a pending key is left behind")
	}
}
