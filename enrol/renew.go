package enrol

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"grapevine/fleet"
	"grapevine/identity"
)

// RenewerConfig is what a node renews its certificate with.
type RenewerConfig struct {
	// Credentials are the node's own.
	identity.Credentials
	// Desk is the node's own; where it holds a CA nobody else need be asked.
	Desk *Desk
	// Members are those of the mesh, and Ask has one that issues renew this
	// node's certificate, over TLS with the present one.
	Members func() []fleet.Member
	Ask     func(ctx context.Context, at *fleet.Member, ask fleet.RenewCertificate) (fleet.Joined, error)
	// Renewed is called after each renewal; it may be nil.
	Renewed func()
	Log     *slog.Logger
}

const (
	// renewJitter is the part of a certificate's life over which the renewals of
	// hosts that joined together are spread, before they are due.
	renewJitter = 20
	// turnEach is what each member adds to the time over which the renewals of a
	// fleet that turns to another root are spread: 33 a second, those of 10,000 hosts
	// in five minutes.
	turnEach = 30 * time.Millisecond
	// turnAfter leaves those who issue the time to hear of it too.
	turnAfter = 3 * lookForTrust
	// A renewal that fails is tried again after firstRetry, and then ever later.
	firstRetry = time.Minute
	turnRetry  = 5 * time.Second // where the fleet turned to another root
	lastRetry  = time.Hour
	// complainEvery is how often a failure is logged that goes on.
	complainEvery = 24 * time.Hour
	// lookEvery bounds a wait: clocks are set, and machines sleep.
	lookEvery = time.Hour
	// askWait is how long one node may take to issue.
	askWait = 20 * time.Second
)

// errNobodyIssues is of a fleet in which certificates do not renew themselves.
var errNobodyIssues = errors.New("no member of the mesh that answers holds a CA; give one to a registry or an agent (grapevine tls intermediate), or issue this node's next certificate by hand (grapevine tls issue --id)")

// Renewer keeps a node's certificate from ending.
type Renewer struct {
	cfg        RenewerConfig
	complained time.Time // when a failure was logged
}

// NewRenewer returns one that waits to be run.
func NewRenewer(cfg RenewerConfig) *Renewer { return &Renewer{cfg: cfg} }

// Run renews the certificate at two thirds of its life, again and again, until
// ctx ends.
func (r *Renewer) Run(ctx context.Context) error {
	for {
		due, replaced := r.due(), r.cfg.Identity.Changed()
		for wait := time.Until(due); wait > 0; wait = time.Until(due) {
			if changed := sleep(ctx, min(wait, lookEvery), replaced); changed {
				due, replaced = r.due(), r.cfg.Identity.Changed()
			}
			if ctx.Err() != nil {
				return nil
			}
		}
		first := firstRetry
		if r.cfg.Identity.Outdated() {
			first = turnRetry
		}
		for pause := first; !r.try(ctx); pause = min(2*pause, lastRetry) {
			if sleep(ctx, pause/2+rand.N(pause), replaced) { //nolint:gosec // a pause is no secret.
				break
			}
			if ctx.Err() != nil {
				return nil
			}
		}
	}
}

// due draws when to renew the present certificate.
func (r *Renewer) due() time.Time {
	own := r.cfg.Identity
	life := own.NotAfter().Sub(own.NotBefore())
	if own.Outdated() { // the fleet turned to another root
		within := min(life/renewJitter, time.Duration(len(r.cfg.Members()))*turnEach)
		return time.Now().Add(turnAfter + rand.N(within+1)) //nolint:gosec // a pause is no secret.
	}
	return own.RenewalDue().Add(-rand.N(life/renewJitter + 1)) //nolint:gosec // a pause is no secret.
}

// sleep waits, and reports whether the certificate was replaced meanwhile.
func sleep(ctx context.Context, d time.Duration, replaced <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-replaced:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
}

// try renews the certificate, or says why that cannot be.
func (r *Renewer) try(ctx context.Context) bool {
	own := r.cfg.Identity
	err := r.renew(ctx)
	switch {
	case err == nil:
		r.cfg.Log.Info("certificate was renewed", "until", own.NotAfter())
		r.complained = time.Time{}
		if r.cfg.Renewed != nil {
			r.cfg.Renewed()
		}
	case ctx.Err() != nil:
	case r.complained.IsZero() || time.Since(r.complained) >= complainEvery:
		r.complained = time.Now()
		r.cfg.Log.Warn("certificate could not be renewed; it is tried again every hour, and the node goes on until its certificate ends",
			"ends", own.NotAfter(), "error", err)
	}
	return err == nil
}

// renew asks this node, and then the others, for the next certificate.
func (r *Renewer) renew(ctx context.Context) error {
	if err := identity.CheckRenewable(r.cfg.Files); err != nil {
		return fmt.Errorf("let this node write its certificate, or renew it by hand: %w", err)
	}
	var failed []error
	if r.cfg.Desk.Open() {
		own := r.cfg.Identity
		err := r.from(func(ask fleet.RenewCertificate) (fleet.Joined, error) {
			return r.cfg.Desk.RenewCertificate(ctx, ask, fleet.Role(own.Subject().Role), own.Subject().ID, own.Enrolled())
		})
		if err == nil {
			return nil
		}
		failed = append(failed, fmt.Errorf("by the own CA: %w", err))
	}
	issuers := r.issuers()
	for i := range issuers {
		err := r.from(func(ask fleet.RenewCertificate) (fleet.Joined, error) {
			within, cancel := context.WithTimeout(ctx, askWait)
			defer cancel()
			return r.cfg.Ask(within, &issuers[i], ask)
		})
		if err == nil || ctx.Err() != nil {
			return err
		}
		failed = append(failed, fmt.Errorf("by %s: %w", issuers[i].Name, err))
	}
	if len(failed) == 0 {
		return errNobodyIssues
	}
	return errors.Join(failed...)
}

// maxAsked is how many nodes are asked in one trial.
const maxAsked = 5

// issuers are some others that hold a CA, in random order.
func (r *Renewer) issuers() []fleet.Member {
	var found []fleet.Member
	for _, m := range r.cfg.Members() {
		if m.Issues && m.Status == fleet.MemberAlive && m.ID != r.cfg.Identity.Subject().ID {
			found = append(found, m)
		}
	}
	rand.Shuffle(len(found), func(i, j int) { found[i], found[j] = found[j], found[i] })
	return found[:min(len(found), maxAsked)]
}

// from takes the next certificate from one who issues. The key is made for it,
// and has been nowhere else.
func (r *Renewer) from(issue func(fleet.RenewCertificate) (fleet.Joined, error)) error {
	csr, key, err := r.cfg.Identity.NextRequest()
	if err != nil {
		return err
	}
	issued, err := issue(fleet.RenewCertificate{CSR: string(csr)})
	if err != nil {
		return err
	}
	return r.cfg.Identity.Renew(r.cfg.Files, identity.Pair{CertPEM: []byte(issued.Certificate), KeyPEM: key}, time.Now())
}

// Expiry is the metric of when a node's certificate ends.
func Expiry(own *identity.Identity) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "grapevine_certificate_expires_timestamp_seconds", Help: "When this node's certificate ends, in Unix time; it renews itself after two thirds of its life.",
	}, func() float64 { return float64(own.NotAfter().Unix()) })
}
