package identity

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"net/url"
	"strings"
	"time"

	"grapevine/fleet"
)

// issuerPath is what the path in the URI of an intermediate begins with.
const issuerPath = "/issuer/"

// NewIntermediate makes a CA that this root vouches for, which a registry or an
// agent may hold: it issues to agents and registries, and never to operators,
// and can be left to end, or its bearers revoked, while the root lies off the
// hosts. Nothing is written.
func (ca *CA) NewIntermediate(name string, lifetime time.Duration, now time.Time) (*CA, error) {
	if ca.Intermediate() || ca.cert.MaxPathLen == 0 {
		return nil, fmt.Errorf("CA of fleet %s may not make intermediates: it is one itself, or an earlier release made it; give the root that tls init made", ca.fleet)
	}
	if end := now.Add(lifetime); lifetime <= 0 || end.After(ca.cert.NotAfter) {
		return nil, fmt.Errorf("intermediate's lifetime is %s; it must be positive and end before its root does, on %s", lifetime, ca.cert.NotAfter.Format(time.DateOnly))
	}
	var random [16]byte
	_, _ = rand.Read(random[:]) // crypto/rand never fails: it ends the program instead
	pair, err := sign(&x509.Certificate{
		Subject:               pkix.Name{CommonName: "Grapevine fleet " + ca.fleet + " issuer " + name},
		URIs:                  []*url.URL{{Scheme: scheme, Host: ca.fleet, Path: issuerPath + fleet.NewUUIDv4(random).String()}},
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.Add(lifetime),
		IsCA:                  true,
		MaxPathLenZero:        true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign,
	}, ca.cert, ca.key)
	if err != nil {
		return nil, fmt.Errorf("make intermediate CA of fleet %s: %w", ca.fleet, err)
	}
	return caFromPair(pair, "the new intermediate CA")
}

// Recertify vouches for an intermediate that another root of the fleet made: the
// same key under the same name, until it would have ended, or this root ends.
func (ca *CA) Recertify(issuer *x509.Certificate, now time.Time) (*x509.Certificate, error) {
	if name, is := fleetOfIntermediate(issuer); !is || name != ca.fleet || ca.Intermediate() {
		return nil, fmt.Errorf("%q is no intermediate of fleet %s, or this is no root of it", issuer.Subject.CommonName, ca.fleet)
	}
	end := issuer.NotAfter
	if end.After(ca.cert.NotAfter) {
		end = ca.cert.NotAfter
	}
	der, err := certificate(&x509.Certificate{
		Subject: issuer.Subject, URIs: issuer.URIs, NotBefore: now.Add(-backdate), NotAfter: end,
		IsCA: true, MaxPathLenZero: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, ca.cert, issuer.PublicKey, ca.key)
	if err != nil {
		return nil, fmt.Errorf("vouch for intermediate CA %q: %w", issuer.Subject.CommonName, err)
	}
	return x509.ParseCertificate(der)
}

// Intermediate reports whether the CA is one that a root made.
func (ca *CA) Intermediate() bool {
	_, is := fleetOfIntermediate(ca.cert)
	return is
}

// NotAfter returns when the CA ends.
func (ca *CA) NotAfter() time.Time { return ca.cert.NotAfter }

// fleetOfIntermediate returns the fleet's name from the certificate of an
// intermediate.
func fleetOfIntermediate(cert *x509.Certificate) (string, bool) {
	if cert.IsCA {
		for _, uri := range cert.URIs {
			if uri.Scheme == scheme && strings.HasPrefix(uri.Path, issuerPath) && CheckFleetName(uri.Host) == nil {
				return uri.Host, true
			}
		}
	}
	return "", false
}
