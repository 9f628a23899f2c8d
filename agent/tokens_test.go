package agent_test

import (
	"crypto/tls"
	"strings"
	"testing"
	"time"

	"grapevine/api/client"
	"grapevine/fleet"
	"grapevine/identity"
	"grapevine/people"
	"grapevine/people/tokens"
)

// issuer is a node that signs tokens; it has heard of no revocation.
func (s *site) issuer(role identity.Role) *tokens.Gate {
	s.t.Helper()
	return &tokens.Gate{Identity: s.issue(role, fleet.UUID{0xee, byte(len(role))}), Revoked: func(*people.Token) bool { return false }}
}

// token is one for a user, issued at some time.
func (s *site) token(by *tokens.Gate, user string, role people.Role, at time.Time) string {
	s.t.Helper()
	signed, _, err := by.Issue(people.Grant{Who: people.Who{User: user}, Role: role}, time.Hour, at)
	if err != nil {
		s.t.Fatal(err)
	}
	return signed
}

// showing is the site's agent as somebody reaches it who has a token and no
// certificate.
func (s *site) showing(token string) *client.Client {
	s.t.Helper()
	config := s.issue(identity.Operator, fleet.UUID{}).ClientTLS(s.id, "http/1.1")
	config.Certificates = nil
	return s.client(config, token)
}

func (s *site) client(config *tls.Config, token string) *client.Client {
	s.t.Helper()
	c, err := client.New("https://"+s.agent.Addr(), client.Options{TLS: config, Token: token})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(c.Close)
	return c
}

func TestAgentJudgesTokensByItself(t *testing.T) {
	s := newSite(t, nil)
	now := time.Now()
	registry := s.issuer(identity.Registry)
	good := s.token(registry, "ops", people.Operator, now)
	if _, err := s.showing(good).Hosts(t.Context()); err != nil {
		t.Errorf("a good token: %v", err)
	}
	other := newFleet(t, firstBoard, nil)
	changed := strings.Split(good, ".")
	changed[1] = strings.Split(s.token(registry, "root", people.Admin, now), ".")[1]
	for name, tt := range map[string]struct{ token, want string }{
		"expired":              {s.token(registry, "ops", people.Operator, now.Add(-2*time.Hour)), "expired on"},
		"of the future":        {s.token(registry, "ops", people.Operator, now.Add(time.Hour)), "of the future"},
		"of another fleet":     {other.token(other.issuer(identity.Registry), "ops", people.Operator, now), "not issued by a registry of this fleet"},
		"signed by an agent":   {s.token(s.issuer(identity.Agent), "ops", people.Operator, now), "not issued by a registry of this fleet"},
		"signed by a person":   {s.token(s.issuer(identity.Operator), "ops", people.Operator, now), "not issued by a registry of this fleet"},
		"with a changed body":  {strings.Join(changed, "."), "not issued by a registry of this fleet"},
		"of a role not known":  {s.token(registry, "ops", "king", now), "not whole"},
		"of no project":        {s.token(registry, "alice", people.Member, now), "not whole"},
		"not a token":          {"gvk-something", "not issued by a registry of this fleet"},
		"of a bad user's name": {s.token(registry, "a b", people.Operator, now), "not whole"},
	} {
		_, err := s.showing(tt.token).Hosts(t.Context())
		if fleet.CodeOf(err) != fleet.CodeUnauthenticated || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
	config := s.issue(identity.Operator, fleet.UUID{}).ClientTLS(s.id, "http/1.1")
	if _, err := s.client(config, "stale").Hosts(t.Context()); fleet.CodeOf(err) != fleet.CodeUnauthenticated {
		t.Errorf("a bad token beside an operator's certificate: %v", err)
	}
}

func TestRevokedTokensAreRefusedEverywhereAlsoAfterRestarts(t *testing.T) {
	s, second, third, _ := fleetOfFour(t)
	registry := s.issuer(identity.Registry)
	now := time.Now()
	one, all := s.token(registry, "ops", people.Operator, now), s.token(registry, "root", people.Admin, now)
	later := s.token(registry, "root", people.Admin, now.Add(2*time.Minute))
	if done, err := s.showing(one).RevokeOwnToken(t.Context()); err != nil || len(done.Holders) != 3 || done.Record.By != "operator ops" {
		t.Fatalf("%+v, %v", done, err)
	}
	if _, err := second.showing(all).RevokeTokens(t.Context(), fleet.RevokeTokens{User: "root"}, client.RevokeOptions{}); err != nil {
		t.Fatal(err)
	}
	refused := func(at *site, token string) bool {
		_, err := at.showing(token).Flavors(t.Context())
		return fleet.CodeOf(err) == fleet.CodeUnauthenticated && strings.Contains(err.Error(), "revoked")
	}
	everywhere := func() {
		t.Helper()
		for _, at := range []*site{s, second, third} {
			at.until("the tokens are refused", func() bool { return refused(at, one) && refused(at, all) })
		}
	}
	everywhere()
	if fresh := s.token(registry, "ops", people.Operator, now); refused(s, fresh) {
		t.Error("another token of the user of one that was revoked is refused")
	}
	gate := s.issuer(identity.Registry)
	gate.Revoked = s.agent.Revoked
	if _, _, err := gate.Issue(people.Grant{Who: people.Who{User: "root"}, Role: people.Admin}, time.Hour, now); fleet.CodeOf(err) != fleet.CodeUnauthenticated {
		t.Errorf("a token is issued that is revoked already: %v", err)
	}
	if _, err := s.showing(later).Flavors(t.Context()); err == nil || strings.Contains(err.Error(), "revoked") {
		t.Errorf("a token of after the revocation: %v", err)
	}
	for _, at := range []*site{s, second, third} {
		at.cfg.GossipBind = at.agent.GossipAddr() // where the others look for it
		at.restart()
	}
	everywhere()
}
