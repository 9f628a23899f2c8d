package registry

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"grapevine/fleet"
	"grapevine/people"
)

// vouching is an OpenID provider that vouches for whom a test wants.
func vouching(t *testing.T) (address string, vouch func(claims map[string]any) string, stop func()) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	b64 := base64.RawURLEncoding.EncodeToString
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q}`, server.URL, server.URL+"/keys")
	})
	mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"keys":[{"kty":"RSA","kid":"k","n":%q,"e":%q}]}`, b64(key.N.Bytes()), b64(big.NewInt(int64(key.E)).Bytes()))
	})
	return server.URL, func(claims map[string]any) string {
		all := map[string]any{"iss": server.URL, "aud": "grapevine", "iat": time.Now().Unix(), "exp": time.Now().Unix() + 600}
		maps.Copy(all, claims)
		body, err := json.Marshal(all)
		if err != nil {
			t.Fatal(err)
		}
		text := b64([]byte(`{"alg":"RS256","kid":"k"}`)) + "." + b64(body)
		sum := sha256.Sum256([]byte(text))
		sig, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, sum[:])
		if err != nil {
			t.Fatal(err)
		}
		return text + "." + b64(sig)
	}, server.Close
}

const someGroups = someUsers + `member_groups = ["devs"]

[[groups]]
name = "ops"
role = "admin"
`

func TestPeopleOfAnOpenIDProviderLogIn(t *testing.T) {
	issuer, vouch, stopIssuer := vouching(t)
	w := newWorld(t, 0)
	cfg, deps := testConfig(w)
	var logged bytes.Buffer
	deps.Log = slog.New(slog.NewTextHandler(&logged, nil))
	cfg.UsersFile = usersFile(t, someGroups)
	cfg.OIDC.Issuer, cfg.OIDC.ClientID, cfg.OIDC.Scopes = issuer, "grapevine", []string{"groups"}
	r, err := New(cfg, deps)
	if err != nil {
		t.Fatal(err)
	}
	stop := run(t, r)
	at := clients(t, r)
	nobody := at("")
	ways, err := nobody.Login(t.Context())
	if err != nil || ways.OIDC == nil || ways.OIDC.Issuer != issuer || ways.OIDC.ClientID != "grapevine" || ways.OIDC.Scopes[0] != "groups" {
		t.Errorf("ways %+v, %v", ways, err)
	}
	good := vouch(map[string]any{"sub": "alice", "groups": []string{"devs", "unknown"}})
	token, err := nobody.IssueToken(t.Context(), fleet.IssueToken{IDToken: good})
	if err != nil || token.User != "oidc:alice" || token.Role != "member" || token.Project != "shop" {
		t.Fatalf("got %+v, %v", token, err)
	}
	alice := at(token.Token)
	if projects, err := alice.Projects(t.Context()); err != nil || len(projects.Items) != 1 {
		t.Errorf("projects %+v, %v", projects, err)
	}
	_, err = alice.Users(t.Context())
	wantCode(t, err, fleet.CodeForbidden)
	_, err = nobody.Projects(t.Context())
	wantCode(t, err, fleet.CodeUnauthenticated)
	_, err = at(good).Projects(t.Context()) // an ID token is no token of the fleet
	wantCode(t, err, fleet.CodeUnauthenticated)
	_, err = nobody.IssueToken(t.Context(), fleet.IssueToken{IDToken: token.Token}) // nor the other way round
	wantCode(t, err, fleet.CodeUnauthenticated)
	for name, claims := range map[string]map[string]any{
		"no group that is named": {"sub": "bob", "groups": []string{"sales"}},
		"root without a group":   {"sub": "root"},
	} {
		_, err := nobody.IssueToken(t.Context(), fleet.IssueToken{IDToken: vouch(claims)})
		if wantCode(t, err, fleet.CodeForbidden); !strings.Contains(err.Error(), "is named in the users file") {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err = nobody.IssueToken(t.Context(), fleet.IssueToken{IDToken: vouch(map[string]any{"sub": "alice", "aud": "wiki"})})
	wantCode(t, err, fleet.CodeUnauthenticated)
	admin, err := nobody.IssueToken(t.Context(), fleet.IssueToken{IDToken: vouch(map[string]any{"sub": "carol", "groups": "ops"})})
	if err != nil || admin.Role != "admin" || admin.Project != "" {
		t.Errorf("got %+v, %v", admin, err)
	}

	// The provider is gone: tokens go on, and so do logins by the keys that were
	// fetched; a registry that starts now starts, and says why nobody gets in.
	stopIssuer()
	if _, err := alice.Projects(t.Context()); err != nil {
		t.Errorf("a token without the provider: %v", err)
	}
	late, lateDeps := testConfig(w)
	late.UsersFile, late.OIDC = cfg.UsersFile, cfg.OIDC
	second, err := New(late, lateDeps)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = second.Close() }()
	l := second.people(newMetrics())
	_, err = l.IssueToken(t.Context(), fleet.IssueToken{IDToken: good}, "192.0.2.1")
	wantCode(t, err, fleet.CodeIssuerUnreachable)
	if _, err := l.IssueToken(t.Context(), fleet.IssueToken{User: "root", Password: "correct horse"}, "192.0.2.1"); err != nil {
		t.Errorf("a password without the provider: %v", err)
	}

	// What the file says no more of the group, a token says no more either.
	text, err := os.ReadFile(cfg.UsersFile)
	if err != nil {
		t.Fatal(err)
	}
	writeUsers(t, cfg.UsersFile, strings.Replace(string(text), `member_groups = ["devs"]`, "", 1))
	r.users.look()
	_, err = alice.Projects(t.Context())
	wantCode(t, err, fleet.CodeUnauthenticated)
	if err := stop(); err != nil {
		t.Error(err)
	}
	for _, secret := range []string{good, token.Token, admin.Token} {
		if strings.Contains(logged.String(), secret) || strings.Contains(logged.String(), strings.Split(secret, ".")[1]) {
			t.Errorf("the log has %.20q", secret)
		}
	}
	if !strings.Contains(logged.String(), "user=oidc:alice") {
		t.Error("the log does not say who logged in")
	}
}

// Whoever has stolen an ID token gets nothing for it once all tokens of its user
// were revoked; who logs in again does.
func TestIDTokenOfBeforeARevocationIsRefused(t *testing.T) {
	issuer, vouch, _ := vouching(t)
	w := newWorld(t, 0)
	cfg, deps := testConfig(w)
	cfg.UsersFile = usersFile(t, someGroups)
	cfg.OIDC.Issuer, cfg.OIDC.ClientID = issuer, "grapevine"
	r, err := New(cfg, deps)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	revoked := time.Now().Add(-time.Minute)
	r.gate.Revoked = func(t *people.Token) bool { return t.User == "oidc:alice" && t.Covers(revoked) }
	l := r.people(newMetrics())
	old := vouch(map[string]any{"sub": "alice", "groups": "devs", "iat": time.Now().Add(-2 * time.Minute).Unix()})
	_, err = l.IssueToken(t.Context(), fleet.IssueToken{IDToken: old}, "192.0.2.1")
	wantCode(t, err, fleet.CodeUnauthenticated)
	if _, err := l.IssueToken(t.Context(), fleet.IssueToken{IDToken: vouch(map[string]any{"sub": "alice", "groups": "devs"})}, "192.0.2.1"); err != nil {
		t.Error(err)
	}
}

func TestRegistryWithoutAProviderTakesNoIDTokens(t *testing.T) {
	_, vouch, _ := vouching(t)
	w := newWorld(t, 0)
	cfg, deps := testConfig(w)
	cfg.UsersFile = usersFile(t, someUsers)
	r, err := New(cfg, deps)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	_, err = r.people(newMetrics()).IssueToken(t.Context(), fleet.IssueToken{IDToken: vouch(nil)}, "192.0.2.1")
	wantCode(t, err, fleet.CodeUnsupported)
}

func TestBadProviderIsNamed(t *testing.T) {
	for name, tt := range map[string]struct {
		set  func(*Config)
		want string
	}{
		"plain HTTP":         {func(c *Config) { c.OIDC.Issuer = "http://id.example.org" }, "oidc.issuer"},
		"no address":         {func(c *Config) { c.OIDC.Issuer = "id.example.org" }, "oidc.issuer"},
		"a query":            {func(c *Config) { c.OIDC.Issuer += "?x=y" }, "oidc.issuer"},
		"a password":         {func(c *Config) { c.OIDC.Issuer = "https://a:b@id.example.org" }, "oidc.issuer"},
		"no client":          {func(c *Config) { c.OIDC.ClientID = "" }, "oidc.client_id"},
		"a client alone":     {func(c *Config) { c.OIDC.Issuer = "" }, "oidc.issuer is not"},
		"no users file":      {func(c *Config) { c.UsersFile = "" }, "users_file is not"},
		"no claim of a user": {func(c *Config) { c.OIDC.UserClaim = "" }, "oidc.user_claim"},
		"no claim of groups": {func(c *Config) { c.OIDC.GroupsClaim = "" }, "oidc.groups_claim"},
		"two scopes in one":  {func(c *Config) { c.OIDC.Scopes = []string{"a b"} }, "oidc.scopes"},
	} {
		cfg := Default()
		cfg.UsersFile, cfg.OIDC.Issuer, cfg.OIDC.ClientID = "users.toml", "https://id.example.org/realm", "grapevine"
		if err := cfg.Validate(); err != nil {
			t.Fatal(err)
		}
		tt.set(&cfg)
		if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
	w := newWorld(t, 0)
	cfg, deps := testConfig(w)
	cfg.UsersFile, cfg.OIDC.Issuer, cfg.OIDC.ClientID, cfg.OIDC.CAFile = usersFile(t, someUsers), "https://id.example.org", "grapevine", "/nowhere/ca.pem"
	if _, err := New(cfg, deps); err == nil || !strings.Contains(err.Error(), "oidc: ") {
		t.Errorf("a CA file that is not there: %v", err)
	}
}
