package enrol

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"grapevine/fleet"
	"grapevine/identity"
)

// office is a desk, its fleet's root and what it saved and logged.
type office struct {
	*Desk
	root  *identity.CA
	cfg   Config
	saved []Held
	log   bytes.Buffer
}

func open(t *testing.T) *office {
	t.Helper()
	root, err := identity.NewCA("home", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	ca, err := root.NewIntermediate("here", 365*24*time.Hour, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	pair, err := root.Issue(identity.Subject{Role: identity.Registry, ID: fleet.UUID{9}, Name: "here"}, time.Hour, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	own, err := identity.New(root.CertPEM(), pair, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	o := &office{root: root}
	o.cfg = Config{
		Credentials: identity.Credentials{Identity: own, CA: ca, GossipKey: []byte("k")},
		Save:        func(held []Held) error { o.saved = held; return nil },
		Taken:       func(id fleet.HostID) bool { return id == fleet.UUID{7} },
		Members:     func() []string { return []string{"10.0.0.1:7946"} },
		Log:         slog.New(slog.NewTextHandler(&o.log, nil)),
	}
	o.Desk = New(o.cfg)
	return o
}

func (o *office) token(t *testing.T, ask fleet.MakeJoinToken) Token {
	t.Helper()
	if err := ask.Validate(); err != nil {
		t.Fatal(err)
	}
	made, err := o.CreateJoinToken(t.Context(), ask, "ada")
	if err != nil {
		t.Fatal(err)
	}
	token, err := ParseToken(made.Token)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// ask is what a new host named n sends.
func ask(t *testing.T, token Token) (fleet.Join, []byte) {
	t.Helper()
	csr, key, err := identity.NewRequest("n", []string{"n.example", "192.0.2.1"})
	if err != nil {
		t.Fatal(err)
	}
	return fleet.Join{Token: token.ID, Secret: token.Secret(), CSR: string(csr)}, key
}

func TestTokenIsTakenOnceForACertificate(t *testing.T) {
	o := open(t)
	token := o.token(t, fleet.MakeJoinToken{})
	if _, _, err := identity.TrustHash(o.root.CertPEM(), token.Root); err != nil {
		t.Errorf("the token's hash is not that of the root: %v", err)
	}
	join, key := ask(t, token)
	got, err := o.Join(t.Context(), join)
	if err != nil {
		t.Fatal(err)
	}
	id, err := identity.New([]byte(got.CA), identity.Pair{CertPEM: []byte(got.Certificate), KeyPEM: key}, time.Now(), identity.Agent)
	if err != nil {
		t.Fatal(err)
	}
	if s := id.Subject(); s.ID != got.ID || s.Name != "n" || s.Fleet != "home" || s.ID.IsZero() {
		t.Errorf("subject %v, id %s", s, got.ID)
	}
	if got.GossipKeys[0] != base64.StdEncoding.EncodeToString([]byte("k")) || got.Join[0] != "10.0.0.1:7946" {
		t.Errorf("got %v and %v", got.GossipKeys, got.Join)
	}
	if _, err := o.Join(t.Context(), join); !errors.Is(err, errNotLetIn) {
		t.Errorf("a second time: %v", err)
	}
	if len(o.saved) != 0 {
		t.Errorf("a used token is still saved: %v", o.saved)
	}
	if strings.Contains(o.log.String(), token.Secret()) {
		t.Error("the secret is in the log")
	}
}

func TestTokensThatOpenNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := open(t)
		good := o.token(t, fleet.MakeJoinToken{TTLSeconds: 60})
		text, _ := json.Marshal(o.saved)
		if strings.Contains(string(text), good.Secret()) {
			t.Error("the secret itself is saved")
		}
		other := o.token(t, fleet.MakeJoinToken{TTLSeconds: 60})
		revoked := o.token(t, fleet.MakeJoinToken{TTLSeconds: 60})
		if _, err := o.DropJoinToken(t.Context(), revoked.ID, "ada"); err != nil {
			t.Fatal(err)
		}
		for name, change := range map[string]func(j *fleet.Join){
			"unknown":   func(j *fleet.Join) { j.Token = "0011223344556677" },
			"another's": func(j *fleet.Join) { j.Secret = other.Secret() },
			"no secret": func(j *fleet.Join) { j.Secret = "" },
			"one digit wrong": func(j *fleet.Join) {
				j.Secret = "A" + j.Secret[1:]
				if j.Secret == good.Secret() {
					j.Secret = "B" + j.Secret[1:]
				}
			},
			"revoked": func(j *fleet.Join) { j.Token, j.Secret = revoked.ID, revoked.Secret() },
		} {
			join, _ := ask(t, good)
			change(&join)
			if _, err := o.Join(t.Context(), join); !errors.Is(err, errNotLetIn) {
				t.Errorf("%s: %v", name, err)
			}
		}
		time.Sleep(time.Minute)
		join, _ := ask(t, good)
		if _, err := o.Join(t.Context(), join); !errors.Is(err, errNotLetIn) {
			t.Errorf("expired: %v", err)
		}
		if rows, err := o.JoinTokens(t.Context()); err != nil || len(rows) != 0 {
			t.Errorf("expired tokens are listed: %v, %v", rows, err)
		}
	})
}

func TestOfManyWhoUseATokenAtOnceOneGetsIn(t *testing.T) {
	o := open(t)
	token := o.token(t, fleet.MakeJoinToken{})
	var racing sync.WaitGroup
	var mu sync.Mutex
	in := 0
	for range 20 {
		join, _ := ask(t, token)
		racing.Go(func() {
			if _, err := o.Join(t.Context(), join); err == nil {
				mu.Lock()
				in++
				mu.Unlock()
			} else if !errors.Is(err, errNotLetIn) {
				t.Error(err)
			}
		})
	}
	racing.Wait()
	if in != 1 {
		t.Errorf("%d got in", in)
	}
}

func TestIdentityIsRestoredByATokenAndNeverByAsking(t *testing.T) {
	o := open(t)
	known, fresh := fleet.UUID{7}, fleet.UUID{8}
	join, _ := ask(t, o.token(t, fleet.MakeJoinToken{}))
	join.HostID = known
	if _, err := o.Join(t.Context(), join); fleet.CodeOf(err) != fleet.CodeConflict {
		t.Errorf("a known host's id by asking: %v", err)
	}
	join.HostID = fresh
	if got, err := o.Join(t.Context(), join); err != nil || got.ID != fresh {
		t.Errorf("the hardware's id: %v, %v", got.ID, err)
	}
	join, _ = ask(t, o.token(t, fleet.MakeJoinToken{HostID: known}))
	if got, err := o.Join(t.Context(), join); err != nil || got.ID != known {
		t.Errorf("by the operator's token: %v, %v", got.ID, err)
	}
	join, _ = ask(t, o.token(t, fleet.MakeJoinToken{HostID: known}))
	join.HostID = fresh
	if _, err := o.Join(t.Context(), join); fleet.CodeOf(err) != fleet.CodeConflict {
		t.Errorf("a token for another host: %v", err)
	}
	join.HostID, join.CSR = known, "no request"
	if _, err := o.Join(t.Context(), join); fleet.CodeOf(err) != fleet.CodeInvalid {
		t.Errorf("a bad request: %v", err)
	}
	join, _ = ask(t, Token{ID: join.Token, secret: mustSecret(t, join.Secret)})
	if _, err := o.Join(t.Context(), join); err != nil {
		t.Errorf("a mistake cost the token: %v", err)
	}
}

func mustSecret(t *testing.T, text string) (out [secretBytes]byte) {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	copy(out[:], raw)
	return out
}

func TestTokensOutliveTheProcessWhereTheyAreSaved(t *testing.T) {
	o := open(t)
	token := o.token(t, fleet.MakeJoinToken{})
	o.cfg.Held = o.saved
	again := New(o.cfg)
	join, _ := ask(t, token)
	if _, err := again.Join(t.Context(), join); err != nil {
		t.Error(err)
	}
	o.cfg.CA = nil
	if _, err := New(o.cfg).CreateJoinToken(t.Context(), fleet.MakeJoinToken{}, "ada"); fleet.CodeOf(err) != fleet.CodeNoCA {
		t.Errorf("without a CA: %v", err)
	}
}

func TestTokenTextThatIsNotWhole(t *testing.T) {
	o := open(t)
	token := o.token(t, fleet.MakeJoinToken{})
	text := token.Text()
	for _, bad := range []string{"", text[:len(text)-4], strings.TrimPrefix(text, prefix), text + "AAAA", prefix + "!!!"} {
		if _, err := ParseToken(bad); !errors.Is(err, errNoToken) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if got, err := ParseToken(" " + text + "\n"); err != nil || got != token {
		t.Errorf("got %v, %v", got, err)
	}
}
