package identity

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"grapevine/fleet"
)

func TestCredentialsMustFitTheNode(t *testing.T) {
	now := time.Now()
	ca, err := NewCA("one", now)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := ca.Issue(Subject{Role: Agent, ID: fleet.UUID{1}, Name: "a"}, time.Hour, now)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	files := Files{CA: filepath.Join(dir, "ca.pem"), Cert: filepath.Join(dir, "a.pem"), Key: filepath.Join(dir, "a-key.pem")}
	key, keyFile := NewGossipKey(), filepath.Join(dir, "gossip.key")
	for _, err := range []error{
		WriteNew(files.CA, ca.CertPEM(), 0o644), pair.Write(files.Cert, files.Key), WriteGossipKey(keyFile, key),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name, keyFile, fleet string
		role                 Role
		want                 string // in the error; empty for none
	}{
		{"all fits", keyFile, "one", Agent, ""},
		{"any fleet", keyFile, "", Agent, ""},
		{"another fleet", keyFile, "two", Agent, `fleet is "two"`},
		{"another role", keyFile, "one", Registry, "role agent"},
		{"no gossip key", filepath.Join(dir, "none"), "one", Agent, "none"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := LoadCredentials(files, c.keyFile, c.fleet, c.role, now)
			switch {
			case c.want == "" && (err != nil || got.Identity == nil || !bytes.Equal(got.GossipKey, key)):
				t.Errorf("got %+v, %v; want the identity and the key", got, err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("got %v, want it to say %q", err, c.want)
			}
		})
	}
}
