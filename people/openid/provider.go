package openid

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/time/rate"

	"grapevine/fleet"
)

// keysFor is for how long a provider's keys are believed without asking it again:
// so long is a token taken that was signed with one that it has withdrawn.
const keysFor = 10 * time.Minute

// A provider is asked for its keys so often at most: whoever sends tokens with
// names of keys that are not there makes nobody ask it more.
const (
	asksPerSecond = 1
	asksAtOnce    = 10
)

// Config says whose ID tokens are taken, and what in them is read.
type Config struct {
	Issuer, ClientID       string
	CAFile                 string // of the provider's authorities; empty for the system's
	UserClaim, GroupsClaim string
}

// Provider judges the ID tokens of one OpenID provider. It may be used from several
// goroutines at once.
type Provider struct {
	cfg  Config
	web  *http.Client
	pace *rate.Limiter

	looking chan struct{} // held by who asks the provider what it is

	mu   sync.Mutex
	keys oidc.KeySet // guarded by mu, as the next
	at   time.Time   // when they were asked for
}

// New reads the authorities that vouch for the provider. It asks nobody.
func New(cfg Config) (*Provider, error) {
	web, err := newWeb(cfg.CAFile)
	if err != nil {
		return nil, err
	}
	p := &Provider{cfg: cfg, pace: rate.NewLimiter(asksPerSecond, asksAtOnce), looking: make(chan struct{}, 1)}
	web.Transport = &paced{web.Transport, p.pace}
	p.web = web
	return p, nil
}

// Issuer returns what the provider calls itself.
func (p *Provider) Issuer() string { return p.cfg.Issuer }

// ClientID returns what the provider calls this fleet.
func (p *Provider) ClientID() string { return p.cfg.ClientID }

// keySet returns the provider's keys, and asks what they are where that was not
// done for some time. One caller asks, and the others wait for it.
func (p *Provider) keySet(ctx context.Context, now time.Time) (oidc.KeySet, error) {
	if keys := p.held(now); keys != nil {
		return keys, nil
	}
	select {
	case p.looking <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-p.looking }()
	if keys := p.held(now); keys != nil {
		return keys, nil
	}
	// What the library keeps of this context is the client, not its end.
	found, err := oidc.NewProvider(oidc.ClientContext(ctx, p.web), p.cfg.Issuer)
	if err != nil {
		return nil, p.unreachable(err)
	}
	var said struct {
		JWKS string `json:"jwks_uri"`
	}
	if err := found.Claims(&said); err != nil || said.JWKS == "" {
		return nil, p.unreachable(fmt.Errorf("it names no keys (jwks_uri)"))
	}
	keys := oidc.NewRemoteKeySet(oidc.ClientContext(context.Background(), p.web), said.JWKS)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keys, p.at = keys, now
	return keys, nil
}

func (p *Provider) held(now time.Time) oidc.KeySet {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.keys == nil || now.Sub(p.at) > keysFor {
		return nil
	}
	return p.keys
}

// unreachable is the error of a login that needs the provider while it does not
// answer as one.
func (p *Provider) unreachable(err error) error {
	return &fleet.Error{Code: fleet.CodeIssuerUnreachable, Detail: fmt.Sprintf(
		"the OpenID provider %s cannot be asked for its keys: %.300s; try again, or log in with a password or an API key; tokens that were got go on", p.cfg.Issuer, err)}
}

// paced asks no more often than it may.
type paced struct {
	inner http.RoundTripper
	pace  *rate.Limiter
}

// RoundTrip implements http.RoundTripper.
func (p *paced) RoundTrip(r *http.Request) (*http.Response, error) {
	if !p.pace.Allow() {
		return nil, fmt.Errorf("it was asked more than %d times a second", asksPerSecond)
	}
	return p.inner.RoundTrip(r)
}
