package identity

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"grapevine/fleet"
)

const year = 365 * 24 * time.Hour

var (
	now   = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	alpha = fleet.UUID{0: 0xa1, 6: 0x40, 8: 0x80, 15: 1}
	beta  = fleet.UUID{0: 0xb2, 6: 0x40, 8: 0x80, 15: 2}
)

func newCA(t *testing.T, at time.Time) *CA {
	t.Helper()
	ca, err := NewCA("home", at)
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

func issue(t *testing.T, ca *CA, s Subject, at time.Time) Pair {
	t.Helper()
	pair, err := ca.Issue(s, year, at)
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

// files writes a CA and a pair as a node finds them.
func files(t *testing.T, ca *CA, pair Pair) Files {
	t.Helper()
	dir := t.TempDir()
	f := Files{CA: filepath.Join(dir, "ca.crt"), Cert: filepath.Join(dir, "node.crt"), Key: filepath.Join(dir, "node.key")}
	if err := WriteNew(f.CA, ca.CertPEM(), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := pair.Write(f.Cert, f.Key); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestCertificateCarriesItsSubject(t *testing.T) {
	ca := newCA(t, now)
	for _, role := range []Role{Agent, Registry, Operator} {
		want := Subject{Fleet: "home", Role: role, ID: alpha, Name: "alpha.example"}
		id, err := Load(files(t, ca, issue(t, ca, want, now)), now, role)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, id.Subject()); diff != "" {
			t.Error(diff)
		}
		if got := id.NotAfter(); !got.Equal(now.Add(year)) {
			t.Errorf("ends on %s, want %s", got, now.Add(year))
		}
	}
}

func TestOperatorWithoutIDGetsOneOfItsOwn(t *testing.T) {
	ca := newCA(t, now)
	var ids []fleet.UUID
	for range 2 {
		id, err := New(ca.CertPEM(), issue(t, ca, Subject{Role: Operator, Name: "root"}, now), now)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id.Subject().ID)
	}
	if ids[0].IsZero() || ids[0] == ids[1] {
		t.Errorf("ids %v", ids)
	}
}

func TestCASurvivesItsFiles(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "tls", "ca.crt"), filepath.Join(dir, "tls", "ca.key")
	made := newCA(t, now)
	if err := made.Pair().Write(cert, key); err != nil {
		t.Fatal(err)
	}
	loaded, err := LoadCA(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	if loaded.Fleet() != "home" {
		t.Errorf("fleet %q", loaded.Fleet())
	}
	if _, err := New(made.CertPEM(), issue(t, loaded, Subject{Role: Agent, ID: alpha}, now), now); err != nil {
		t.Errorf("a certificate of the loaded CA: %v", err)
	}
	info, err := os.Stat(key)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("key mode %v, %v", info.Mode(), err)
	}
	if err := made.Pair().Write(cert, key); !errors.Is(err, os.ErrExist) {
		t.Errorf("a second write: %v, want it refused", err)
	}
}

func TestPairLeavesNoKeyBehindWhenTheCertificateCannotBeWritten(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "a.crt"), filepath.Join(dir, "a.key")
	if err := os.WriteFile(cert, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := newCA(t, now).Pair().Write(cert, key); err == nil {
		t.Fatal("an existing certificate was replaced")
	}
	if _, err := os.Stat(key); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the key was left behind: %v", err)
	}
}

func TestIssueRefusesWhatMakesNoSense(t *testing.T) {
	ca := newCA(t, now)
	for name, tt := range map[string]struct {
		subject  Subject
		lifetime time.Duration
		want     string
	}{
		"agent without id": {Subject{Role: Agent, Name: "alpha"}, year, "needs an id"},
		"unknown role":     {Subject{Role: "king", ID: alpha}, year, `role "king" is not one of`},
		"no lifetime":      {Subject{Role: Agent, ID: alpha}, 0, "must be positive"},
		"outlives its CA":  {Subject{Role: Agent, ID: alpha}, 30 * year, "outlive its CA"},
	} {
		if _, err := ca.Issue(tt.subject, tt.lifetime, now); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
	for _, bad := range []string{"", "Home", "a b", "-a", "a/b", strings.Repeat("a", 64)} {
		if _, err := NewCA(bad, now); err == nil {
			t.Errorf("fleet name %q is taken", bad)
		}
	}
}

func TestLoadSaysWhatIsWrong(t *testing.T) {
	ca, other := newCA(t, now), newCA(t, now)
	agent := Subject{Role: Agent, ID: alpha, Name: "alpha"}
	good := issue(t, ca, agent, now)
	for name, tt := range map[string]struct {
		change func(f *Files) error
		at     time.Time
		roles  []Role
		want   string
	}{
		"no file named":        {func(f *Files) error { f.Cert = ""; return nil }, now, nil, "no certificate file is given"},
		"missing CA":           {func(f *Files) error { return os.Remove(f.CA) }, now, nil, "CA certificate file"},
		"missing certificate":  {func(f *Files) error { return os.Remove(f.Cert) }, now, nil, "does not exist; make it with grapevine tls"},
		"missing key":          {func(f *Files) error { return os.Remove(f.Key) }, now, nil, "key file"},
		"not a certificate":    {func(f *Files) error { return replace(f.Cert, []byte("hello")) }, now, nil, "holds no PEM certificate"},
		"not a key":            {func(f *Files) error { return replace(f.Key, []byte("hello")) }, now, nil, "holds no PEM private key"},
		"key of another":       {func(f *Files) error { return replace(f.Key, issue(t, ca, agent, now).KeyPEM) }, now, nil, "does not belong to certificate"},
		"key open to everyone": {func(f *Files) error { return os.Chmod(f.Key, 0o644) }, now, nil, "chmod 600"},
		"another CA":           {func(f *Files) error { return replace(f.CA, other.CertPEM()) }, now, nil, "was not issued by CA"},
		"no CA at all":         {func(f *Files) error { return replace(f.CA, good.CertPEM) }, now, nil, "is not the certificate of a fleet CA"},
		"expired":              {nil, now.Add(2 * year), nil, "expired on 2027-03-01T12:00:00Z; issue a new one"},
		"not valid yet":        {nil, now.Add(-year), nil, "set this machine's clock"},
		"wrong role":           {nil, now, []Role{Registry}, "is for the role agent, and registry is needed here"},
		"nothing":              {nil, now, []Role{Registry, Agent}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			f := files(t, ca, good)
			if tt.change != nil {
				if err := tt.change(&f); err != nil {
					t.Fatal(err)
				}
			}
			_, err := Load(f, tt.at, tt.roles...)
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("refused: %v", err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("got %v, want %q", err, tt.want)
			case err != nil && strings.Contains(err.Error(), "\n"):
				t.Errorf("not one sentence: %v", err)
			}
		})
	}
}

func replace(path string, content []byte) error { return os.WriteFile(path, content, 0o600) }

func TestGossipKeyIsWrittenOnceAndReadBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gossip.key")
	key := NewGossipKey()
	if err := WriteGossipKey(path, key); err != nil {
		t.Fatal(err)
	}
	got, err := LoadGossipKey(path)
	if err != nil || string(got) != string(key) {
		t.Errorf("read back %x, %v, want %x", got, err, key)
	}
	if err := WriteGossipKey(path, NewGossipKey()); !errors.Is(err, os.ErrExist) {
		t.Errorf("a second write: %v, want it refused", err)
	}
	if err := replace(path, []byte("c2hvcnQ=")); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadGossipKey(path); err == nil || !strings.Contains(err.Error(), "32 bytes in base64") {
		t.Errorf("a short key: %v", err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadGossipKey(path); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("a key that all may read: %v", err)
	}
}
