package identity

import (
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"strconv"
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
		id.guards.closeIf(func(cert *x509.Certificate) bool {
			subject, err := SubjectOf(cert)
			return err != nil || id.checkRevoked(subject, cert) != nil
		})
	}
}

func (id *Identity) checkRevoked(subject Subject, cert *x509.Certificate) error {
	revoked := id.revoked.Load()
	if revoked == nil {
		return nil
	}
	// A certificate says whole seconds.
	if until, ok := (*revoked)[subject.ID]; ok && !EnrolledAt(cert).Truncate(time.Second).After(until.Truncate(time.Second)) {
		return fmt.Errorf("%s %s (%s) was revoked by an operator; enrol it again with: grapevine token create --host-id %s: %w",
			subject.Role, subject.ID, subject.Name, subject.ID, ErrRevoked)
	}
	return nil
}
