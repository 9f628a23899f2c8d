package openid

import (
	"context"
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"grapevine/fleet"
)

// issuer is an OpenID provider that signs what a test wants.
type issuer struct {
	*httptest.Server
	keys  atomic.Value // of what is published: map[string]*rsa.PrivateKey
	asked atomic.Int64 // how often for its keys
	says  atomic.Value // string: what it answers in place of its keys
	down  atomic.Bool
	mux   *http.ServeMux
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	is := &issuer{}
	is.keys.Store(map[string]*rsa.PrivateKey{})
	is.says.Store("")
	mux := http.NewServeMux()
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		is.answer(w, fmt.Sprintf(`{"issuer":%q,"jwks_uri":%q,"authorization_endpoint":"%[1]s/auth","token_endpoint":"%[1]s/token","device_authorization_endpoint":"%[1]s/device","id_token_signing_alg_values_supported":["RS256","none","HS256"]}`, is.URL, is.URL+"/keys"))
	})
	is.mux = mux
	mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) {
		is.asked.Add(1)
		if text := is.says.Load().(string); text != "" {
			is.answer(w, text)
			return
		}
		var set []map[string]string
		for kid, key := range is.keys.Load().(map[string]*rsa.PrivateKey) {
			set = append(set, map[string]string{"kty": "RSA", "use": "sig", "kid": kid, "n": b64(key.N.Bytes()), "e": b64(big.NewInt(int64(key.E)).Bytes())})
		}
		text, _ := json.Marshal(map[string]any{"keys": set})
		is.answer(w, string(text))
	})
	is.Server = httptest.NewServer(mux)
	t.Cleanup(is.Close)
	return is
}

func (is *issuer) answer(w http.ResponseWriter, text string) {
	if is.down.Load() {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprint(w, text)
}

// publish makes the issuer publish a new key, and drop these.
func (is *issuer) publish(t *testing.T, kid string, drop ...string) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	keys := maps.Clone(is.keys.Load().(map[string]*rsa.PrivateKey))
	keys[kid] = key
	for _, old := range drop {
		delete(keys, old)
	}
	is.keys.Store(keys)
	return key
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

type said map[string]any

// with is the same, but for these.
func (s said) with(more said) said {
	out := maps.Clone(s)
	for k, v := range more {
		if v == nil {
			delete(out, k)
		} else {
			out[k] = v
		}
	}
	return out
}

// signed is a token; how signs what is signed.
func signed(t *testing.T, header, claims said, how func(text []byte) []byte) string {
	t.Helper()
	h, err := json.Marshal(header)
	if err != nil {
		t.Fatal(err)
	}
	c, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	text := b64(h) + "." + b64(c)
	return text + "." + b64(how([]byte(text)))
}

func rs256(key *rsa.PrivateKey) func([]byte) []byte {
	return func(text []byte) []byte {
		sum := sha256.Sum256(text)
		sig, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, sum[:])
		if err != nil {
			panic(err)
		}
		return sig
	}
}

func hs256(secret []byte) func([]byte) []byte {
	return func(text []byte) []byte {
		mac := hmac.New(sha256.New, secret)
		mac.Write(text)
		return mac.Sum(nil)
	}
}

func (is *issuer) provider(t *testing.T, change func(*Config)) *Provider {
	t.Helper()
	cfg := Config{Issuer: is.URL, ClientID: "grapevine", UserClaim: "sub", GroupsClaim: "groups"}
	if change != nil {
		change(&cfg)
	}
	p, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

var now = time.Unix(1_800_000_000, 0)

// honest is what the issuer says of alice.
func (is *issuer) honest() said {
	return said{
		"iss": is.URL, "aud": "grapevine", "sub": "alice", "iat": now.Unix() - 5, "exp": now.Unix() + 300, "groups": []string{"devs", "all"},
		"email": "alice@example.org", "email_verified": true, "nonce": "n-1",
	}
}

func TestIDTokenSaysWhoSomebodyIs(t *testing.T) {
	is := newIssuer(t)
	key := is.publish(t, "k1")
	token := signed(t, said{"alg": "RS256", "kid": "k1", "typ": "JWT"}, is.honest(), rs256(key))
	got, err := is.provider(t, nil).Judge(t.Context(), token, now)
	if err != nil || got.User != "alice" || !slices.Equal(got.Groups, []string{"devs", "all"}) || got.Nonce != "n-1" || got.IssuedAt.Unix() != now.Unix()-5 {
		t.Errorf("got %+v, %v", got, err)
	}
	got, err = is.provider(t, func(c *Config) { c.UserClaim, c.GroupsClaim = "email", "none" }).Judge(t.Context(), token, now)
	if err != nil || got.User != "alice@example.org" || got.Groups != nil {
		t.Errorf("by the address: %+v, %v", got, err)
	}
	got, err = is.provider(t, func(c *Config) { c.GroupsClaim = "email" }).Judge(t.Context(), token, now)
	if err != nil || !slices.Equal(got.Groups, []string{"alice@example.org"}) {
		t.Errorf("one group as a text: %+v, %v", got, err)
	}
}

// What is not of this issuer, for this client, now, is refused, and no answer says
// what was sent.
func TestHostileIDTokensAreRefused(t *testing.T) {
	is, other := newIssuer(t), newIssuer(t)
	key, strange := is.publish(t, "k1"), other.publish(t, "k1")
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	publicPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})
	head := said{"alg": "RS256", "kid": "k1"}
	good := signed(t, head, is.honest(), rs256(key))
	part := strings.Split(good, ".")
	byAddress := func(c *Config) { c.UserClaim = "email" }
	for name, tt := range map[string]struct {
		token  string
		change func(*Config)
		want   string
	}{
		"another issuer's":              {signed(t, head, is.honest().with(said{"iss": other.URL}), rs256(key)), nil, "not one of"},
		"signed by another issuer":      {signed(t, head, is.honest(), rs256(strange)), nil, "not signed by a key of"},
		"of another issuer altogether":  {signed(t, head, is.honest().with(said{"iss": other.URL}), rs256(strange)), nil, "not signed by a key of"},
		"for another client":            {signed(t, head, is.honest().with(said{"aud": "wiki"}), rs256(key)), nil, "for another client"},
		"for nobody":                    {signed(t, head, is.honest().with(said{"aud": nil}), rs256(key)), nil, "for another client"},
		"got by another of two clients": {signed(t, head, is.honest().with(said{"aud": []string{"wiki", "grapevine"}, "azp": "wiki"}), rs256(key)), nil, "several clients"},
		"for two clients, got by none":  {signed(t, head, is.honest().with(said{"aud": []string{"wiki", "grapevine"}}), rs256(key)), nil, "several clients"},
		"expired":                       {signed(t, head, is.honest().with(said{"exp": now.Unix() - 31}), rs256(key)), nil, "expired on"},
		"without an end":                {signed(t, head, is.honest().with(said{"exp": nil}), rs256(key)), nil, "when it ends"},
		"without a beginning":           {signed(t, head, is.honest().with(said{"iat": nil}), rs256(key)), nil, "when it was issued"},
		"of the future":                 {signed(t, head, is.honest().with(said{"iat": now.Unix() + 31}), rs256(key)), nil, "not good yet"},
		"not good yet":                  {signed(t, head, is.honest().with(said{"nbf": now.Unix() + 31}), rs256(key)), nil, "not good yet"},
		"not signed":                    {signed(t, said{"alg": "none"}, is.honest(), func([]byte) []byte { return nil }), nil, `"none"`},
		"not signed, and no signature":  {b64([]byte(`{"alg":"none"}`)) + "." + part[1] + ".", nil, `"none"`},
		"the public key as a secret":    {signed(t, said{"alg": "HS256", "kid": "k1"}, is.honest(), hs256(publicPEM)), nil, `"HS256"`},
		"its DER as a secret":           {signed(t, said{"alg": "HS256", "kid": "k1"}, is.honest(), hs256(public)), nil, `"HS256"`},
		"another algorithm's name":      {signed(t, said{"alg": "ES256", "kid": "k1"}, is.honest(), rs256(key)), nil, "not signed by a key of"},
		"an unknown key":                {signed(t, said{"alg": "RS256", "kid": "k9"}, is.honest(), rs256(key)), nil, "not signed by a key of"},
		"a key that it brings":          {signed(t, said{"alg": "RS256", "jwk": said{"kty": "RSA", "n": b64(strange.N.Bytes()), "e": "AQAB"}}, is.honest(), rs256(strange)), nil, "not signed by a key of"},
		"changed":                       {part[0] + "." + b64([]byte(`{"iss":"`+is.URL+`","sub":"root"}`)) + "." + part[2], nil, "not signed by a key of"},
		"an access token":               {signed(t, said{"alg": "RS256", "kid": "k1", "typ": "at+jwt"}, is.honest(), rs256(key)), nil, "no ID token"},
		"a logout token":                {signed(t, said{"alg": "RS256", "kid": "k1", "typ": "logout+jwt"}, is.honest(), rs256(key)), nil, "no ID token"},
		"in JSON":                       {`{"payload":"` + part[1] + `","protected":"` + part[0] + `","signature":"` + part[2] + `"}`, nil, "not one"},
		"oversized":                     {signed(t, head, is.honest().with(said{"x": strings.Repeat("x", fleet.MaxIDTokenBytes)}), rs256(key)), nil, "not one"},
		"no token":                      {"hunter2", nil, "not one"},
		"of nobody":                     {signed(t, head, is.honest().with(said{"sub": nil}), rs256(key)), nil, `claim "sub"`},
		"of a number":                   {signed(t, head, is.honest().with(said{"email": 5}), rs256(key)), byAddress, `claim "email"`},
		"of an address of anybody":      {signed(t, head, is.honest().with(said{"email_verified": nil}), rs256(key)), byAddress, "not verified"},
		"of an address not verified":    {signed(t, head, is.honest().with(said{"email_verified": false}), rs256(key)), byAddress, "not verified"},
		"groups of another shape":       {signed(t, head, is.honest().with(said{"groups": said{"devs": true}}), rs256(key)), nil, "no list of texts"},
	} {
		got, err := is.provider(t, tt.change).Judge(t.Context(), tt.token, now)
		if fleet.CodeOf(err) != fleet.CodeUnauthenticated || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %+v, %v, want %q", name, got, err, tt.want)
			continue
		}
		if strings.Contains(err.Error(), part[1]) || strings.Contains(err.Error(), "alice") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: the answer says too much: %v", name, err)
		}
	}
	if n := other.asked.Load(); n != 0 {
		t.Errorf("a token made the registry ask another issuer %d times", n)
	}
}

// Clocks may differ by as much as for tokens of the fleet's own.
func TestIDTokensHaveTheLeewayOfClocks(t *testing.T) {
	is := newIssuer(t)
	key := is.publish(t, "k1")
	p := is.provider(t, nil)
	for _, claims := range []said{{"exp": now.Unix() - 30}, {"iat": now.Unix() + 30}, {"nbf": now.Unix() + 30}} {
		if _, err := p.Judge(t.Context(), signed(t, said{"alg": "RS256", "kid": "k1"}, is.honest().with(claims), rs256(key)), now); err != nil {
			t.Errorf("%v: %v", claims, err)
		}
	}
}

// A new key is found when the first token signed with it comes; one that was
// withdrawn is believed no longer than keys are kept.
func TestKeysOfTheProviderAreFollowed(t *testing.T) {
	is := newIssuer(t)
	old := is.publish(t, "old")
	p := is.provider(t, nil)
	honest := is.honest().with(said{"exp": now.Unix() + 3600})
	byOld, at := signed(t, said{"alg": "RS256", "kid": "old"}, honest, rs256(old)), now
	judge := func(token string) error {
		_, err := p.Judge(t.Context(), token, at)
		return err
	}
	if err := judge(byOld); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		if err := judge(byOld); err != nil || is.asked.Load() != 1 {
			t.Fatalf("the keys were asked for %d times, %v", is.asked.Load(), err)
		}
	}
	fresh := is.publish(t, "new", "old")
	at = now.Add(keysFor + time.Second)
	if err := judge(byOld); fleet.CodeOf(err) != fleet.CodeUnauthenticated {
		t.Errorf("a key that was withdrawn, once keys are asked for again: %v", err)
	}
	if err := judge(signed(t, said{"alg": "RS256", "kid": "new"}, honest, rs256(fresh))); err != nil {
		t.Errorf("a new key: %v", err)
	}
	next := is.publish(t, "next")
	if err := judge(signed(t, said{"alg": "RS256", "kid": "next"}, honest, rs256(next))); err != nil {
		t.Errorf("a key that is new while the others are kept: %v", err)
	}
}

// Tokens with names of keys that nobody has do not make a registry a hammer.
func TestProviderIsAskedOnlySoOften(t *testing.T) {
	is := newIssuer(t)
	key := is.publish(t, "k1")
	p := is.provider(t, nil)
	unreachable := 0
	for i := range 5 * asksAtOnce {
		_, err := p.Judge(t.Context(), signed(t, said{"alg": "RS256", "kid": fmt.Sprint("x", i)}, is.honest(), rs256(key)), now)
		if fleet.CodeOf(err) == fleet.CodeIssuerUnreachable {
			unreachable++
		}
	}
	if asked := is.asked.Load(); asked > 2*asksAtOnce || unreachable == 0 {
		t.Errorf("it was asked %d times, and %d were told so", asked, unreachable)
	}
	if _, err := p.Judge(t.Context(), signed(t, said{"alg": "RS256", "kid": "k1"}, is.honest(), rs256(key)), now); err != nil {
		t.Errorf("a known key meanwhile: %v", err)
	}
}

// A provider that does not answer as one is said in one sentence, and is no fault of
// who logs in.
func TestUnreachableProviderIsSaid(t *testing.T) {
	is := newIssuer(t)
	key := is.publish(t, "k1")
	token := signed(t, said{"alg": "RS256", "kid": "k1"}, is.honest(), rs256(key))
	for name, spoil := range map[string]func(){
		"it answers 502":         func() { is.down.Store(true) },
		"its keys are too long":  func() { is.says.Store(`{"keys":[]` + strings.Repeat(" ", maxAnswerBytes) + `}`) },
		"its keys are no JSON":   func() { is.says.Store("<html>") },
		"it is another provider": nil,
		"it is not there":        nil,
	} {
		is.down.Store(false)
		is.says.Store("")
		p := is.provider(t, func(c *Config) {
			switch name {
			case "it is another provider":
				c.Issuer = strings.Replace(is.URL, "127.0.0.1", "localhost", 1)
			case "it is not there":
				c.Issuer = "http://127.0.0.1:1"
			}
		})
		if spoil != nil {
			spoil()
		}
		_, err := p.Judge(t.Context(), token, now)
		if fleet.CodeOf(err) != fleet.CodeIssuerUnreachable || len(err.Error()) > 700 {
			t.Errorf("%s: %v", name, err)
		}
		is.down.Store(false)
		is.says.Store("")
		if spoil == nil {
			continue
		}
		if _, err := p.Judge(t.Context(), token, now); err != nil {
			t.Errorf("%s, and then no more: %v", name, err)
		}
	}
}

func TestWhoWaitsForTheProviderMayGo(t *testing.T) {
	is := newIssuer(t)
	p := is.provider(t, nil)
	p.looking <- struct{}{} // somebody asks
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Judge(ctx, signed(t, said{"alg": "RS256"}, is.honest(), rs256(is.publish(t, "k"))), now); err == nil {
		t.Error("nobody was asked, and it is taken")
	}
}
