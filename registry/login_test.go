package registry

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"grapevine/api/client"
	"grapevine/fleet"
	"grapevine/people"
)

// usersFile writes a users file; %s in it are the hash of "correct horse".
func usersFile(t *testing.T, text string) string {
	t.Helper()
	hash, err := people.HashPassword("correct horse")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "users.toml")
	writeUsers(t, path, strings.ReplaceAll(text, "%s", hash))
	return path
}

// clients returns what makes clients of a registry that show a token.
func clients(t *testing.T, r *Registry) func(token string) *client.Client {
	t.Helper()
	return func(token string) *client.Client {
		c, err := client.New("http://"+r.Addr(), client.Options{Token: token})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		return c
	}
}

func writeUsers(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

const someUsers = `
[[users]]
name = "root"
password = "%s"
role = "admin"

[[users]]
name = "alice"
password = "%s"

[[projects]]
name = "shop"
members = ["alice"]
quota = {instances = 2}
`

func TestPeopleLogInAtARegistryWithAUsersFile(t *testing.T) {
	w := newWorld(t, 0)
	cfg, deps := testConfig(w)
	var logged bytes.Buffer
	deps.Log = slog.New(slog.NewTextHandler(&logged, nil))
	cfg.UsersFile = usersFile(t, someUsers)
	r, err := New(cfg, deps)
	if err != nil {
		t.Fatal(err)
	}
	stop := run(t, r)
	at := clients(t, r)
	nobody := at("")
	if err := nobody.Healthy(t.Context()); err != nil {
		t.Error(err)
	}
	_, err = nobody.Flavors(t.Context())
	wantCode(t, err, fleet.CodeUnauthenticated) // on loopback too
	var said []string
	for _, ask := range []fleet.IssueToken{{User: "alice", Password: "wrong horse"}, {User: "nobody", Password: "wrong horse"}, {APIKey: "gvk-wrong"}} {
		_, err := nobody.IssueToken(t.Context(), ask)
		wantCode(t, err, fleet.CodeUnauthenticated)
		said = append(said, err.Error())
	}
	if said[0] != said[1] || said[1] != said[2] {
		t.Errorf("the answers differ: %q", said)
	}
	token, err := nobody.IssueToken(t.Context(), fleet.IssueToken{User: "root", Password: "correct horse"})
	if err != nil || token.Role != "admin" || token.Project != "" || token.ExpiresAt.Sub(token.IssuedAt) != time.Hour {
		t.Fatalf("got %+v, %v", token, err)
	}
	root := at(token.Token)
	if _, err := root.Flavors(t.Context()); err != nil {
		t.Error(err)
	}
	users, err := root.Users(t.Context())
	if err != nil || len(users.Items) != 2 || users.Items[0].Name != "alice" || users.Items[0].Projects[0] != "shop" {
		t.Errorf("users %+v, %v", users.Items, err)
	}
	mine, err := nobody.IssueToken(t.Context(), fleet.IssueToken{User: "alice", Password: "correct horse"})
	if err != nil || mine.Role != "member" || mine.Project != "shop" {
		t.Fatalf("got %+v, %v", mine, err)
	}
	alice := at(mine.Token)
	_, err = alice.Users(t.Context())
	wantCode(t, err, fleet.CodeForbidden)
	projects, err := alice.Projects(t.Context())
	if err != nil || len(projects.Items) != 1 || projects.Items[0].Quota["instances"] != 2 {
		t.Errorf("projects %+v, %v", projects.Items, err)
	}

	// What the file says no more, a token says no more either.
	text, err := os.ReadFile(cfg.UsersFile)
	if err != nil {
		t.Fatal(err)
	}
	writeUsers(t, cfg.UsersFile, strings.Replace(string(text), `members = ["alice"]`, "", 1))
	r.users.look()
	_, err = alice.Projects(t.Context())
	wantCode(t, err, fleet.CodeUnauthenticated)

	writeUsers(t, cfg.UsersFile, "[[users]]\nname = 5\n")
	r.users.look()
	if _, err := root.Flavors(t.Context()); err != nil {
		t.Errorf("with a bad file, whose older version goes on: %v", err)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	for _, secret := range []string{"correct horse", "wrong horse", "gvk-wrong", token.Token, mine.Token} {
		if strings.Contains(logged.String(), secret) {
			t.Errorf("the log has %.20q", secret)
		}
	}
	for _, want := range []string{"users file refused", "users.toml:2:", "token issued", "login refused"} {
		if !strings.Contains(logged.String(), want) {
			t.Errorf("the log has no %q", want)
		}
	}
}

func TestLoginsAreTriedSoOften(t *testing.T) {
	w := newWorld(t, 0)
	cfg, deps := testConfig(w)
	cfg.UsersFile = usersFile(t, someUsers)
	r, err := New(cfg, deps)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	l, refused := r.people(newMetrics()), 0
	for i := range 4 * triesAtOnce {
		_, err := l.IssueToken(t.Context(), fleet.IssueToken{APIKey: "gvk-x"}, fmt.Sprintf("2001:db8::%x", i+1))
		if fleet.CodeOf(err) == fleet.CodeTooMany {
			refused++
		}
	}
	if refused < triesAtOnce {
		t.Errorf("%d of %d tries from one network were refused", refused, 4*triesAtOnce)
	}
	if _, err := l.IssueToken(t.Context(), fleet.IssueToken{APIKey: "gvk-x"}, "192.0.2.1"); fleet.CodeOf(err) != fleet.CodeUnauthenticated {
		t.Errorf("from elsewhere: %v", err)
	}
}

func TestRegistryDoesNotStartWithABadUsersFile(t *testing.T) {
	w := newWorld(t, 0)
	for name, tt := range map[string]struct {
		path func() string
		want string
	}{
		"none":    {func() string { return filepath.Join(t.TempDir(), "none") }, "does not exist"},
		"not one": {func() string { return usersFile(t, "[[user]]\n") }, `unknown key "user`},
		"open to all": {func() string {
			path := usersFile(t, someUsers)
			if err := os.Chmod(path, 0o644); err != nil {
				t.Fatal(err)
			}
			return path
		}, "chmod 640"},
	} {
		cfg, deps := testConfig(w)
		cfg.UsersFile = tt.path()
		if _, err := New(cfg, deps); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
}
