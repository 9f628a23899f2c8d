package identity

import (
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"strconv"
	"sync"
	"time"

	"grapevine/fleet"
)

// ErrRevoked is wrapped by the error of a connection to a node whose
// certificate an operator revoked.
var ErrRevoked = errors.New("certificate is revoked")

// sinceKey names, in a subject's URI, when somebody enrolled the node: by the
// issuer's clock, in Unix seconds. A renewal keeps it, so that who has stolen
// a key cannot outrun the revocation by renewing.
const sinceKey = "since"

// EnrolledAt returns when the bearer of a certificate was enrolled by a person.
func EnrolledAt(cert *x509.Certificate) time.Time {
	for _, uri := range cert.URIs {
		if uri.Scheme != scheme {
			continue
		}
		if s, err := strconv.ParseInt(uri.Query().Get(sinceKey), 10, 64); err == nil {
			return time.Unix(s, 0)
		}
	}
	return cert.NotBefore.Add(backdate)
}

// sinceQuery is how EnrolledAt's answer stands in a URI.
func sinceQuery(at time.Time) string {
	return url.Values{sinceKey: {strconv.FormatInt(at.Unix(), 10)}}.Encode()
}

// Revoke refuses, from now on, the certificates of these ids that were
// enrolled at these times or before; what was given before is replaced. The
// connections that are guarded and now refused are closed.
func (id *Identity) Revoke(until map[fleet.UUID]time.Time) {
	until = maps.Clone(until)
	if old := id.revoked.Swap(&until); old == nil || !maps.EqualFunc(*old, until, time.Time.Equal) {
		id.guards.closeIf(id.refuses)
	}
}

// RevokedAt returns up to when a node's certificates were revoked; zero for never.
func (id *Identity) RevokedAt(node fleet.UUID) time.Time {
	if revoked := id.revoked.Load(); revoked != nil {
		return (*revoked)[node]
	}
	return time.Time{}
}

// Barred reports whether a node was revoked, and has shown no certificate of a
// later enrolment since.
func (id *Identity) Barred(node fleet.UUID) bool {
	until := id.RevokedAt(node)
	return !until.IsZero() && covers(until, id.seen.newest(node))
}

// covers reports whether a revocation is of certificates that were enrolled then.
// Certificates say whole seconds.
func covers(until, enrolled time.Time) bool {
	return !enrolled.Truncate(time.Second).After(until.Truncate(time.Second))
}

// enrolments are the newest that hosts have shown, on links or by blocks.
type enrolments struct {
	mu sync.Mutex
	at map[fleet.UUID]time.Time // guarded by mu; bounded by the certificates issued
}

func (e *enrolments) note(node fleet.UUID, at time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.at == nil {
		e.at = map[fleet.UUID]time.Time{}
	}
	if at.After(e.at[node]) {
		e.at[node] = at
	}
}

func (e *enrolments) newest(node fleet.UUID) time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.at[node]
}

func (id *Identity) checkRevoked(subject Subject, cert *x509.Certificate) error {
	if until := id.RevokedAt(subject.ID); !until.IsZero() && covers(until, EnrolledAt(cert)) {
		return fmt.Errorf("%s %s (%s) was revoked by an operator; enrol it again with: grapevine token create --host-id %s: %w",
			subject.Role, subject.ID, subject.Name, subject.ID, ErrRevoked)
	}
	return nil
}
