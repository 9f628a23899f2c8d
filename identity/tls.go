package identity

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"grapevine/fleet"
)

// ErrWrongPeer is wrapped by the error of a connection to a node that proves
// to be another one, or one of another fleet.
var ErrWrongPeer = errors.New("not the expected peer")

// ServerTLS returns the settings of a listener: TLS 1.3, this node's
// certificate, these ALPN protocols in order of preference. A client may come
// without a certificate and is nobody then; one that shows a certificate must
// have it from this fleet's CA. Ask PeerOf who it is. Each handshake goes by
// the certificate and the roots of its moment.
func (id *Identity) ServerTLS(protos ...string) *tls.Config {
	outer := &tls.Config{MinVersion: tls.VersionTLS13, NextProtos: protos}
	outer.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		own := id.current.Load()
		return &tls.Config{
			MinVersion:   tls.VersionTLS13,
			Time:         outer.Time,
			Certificates: []tls.Certificate{own.cert},
			NextProtos:   protos,
			ClientAuth:   tls.VerifyClientCertIfGiven,
			ClientCAs:    own.pool,
			// A session that is taken up again would not be verified again.
			SessionTicketsDisabled: true,
			VerifyConnection: func(state tls.ConnectionState) error {
				if len(state.PeerCertificates) == 0 {
					return nil
				}
				_, err := id.admit(state.VerifiedChains[0])
				return err
			},
		}, nil
	}
	return outer
}

// ClientTLS returns the settings of a connection to the node with id peer, or
// to any node of this fleet when peer is zero, offering these ALPN protocols.
// Each handshake goes by the certificate and the roots of its moment.
func (id *Identity) ClientTLS(peer fleet.UUID, protos ...string) *tls.Config {
	config := &tls.Config{
		MinVersion: tls.VersionTLS13,
		NextProtos: protos,
		ServerName: ServerName,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return &id.current.Load().cert, nil
		},
		// VerifyConnection verifies: settings that are made once could not
		// follow roots that change.
		InsecureSkipVerify: true,
	}
	config.VerifyConnection = func(state tls.ConnectionState) error {
		opts := x509.VerifyOptions{DNSName: ServerName, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
		if config.Time != nil {
			opts.CurrentTime = config.Time()
		}
		chain, err := id.current.Load().verify(state.PeerCertificates, opts)
		if err != nil {
			if _, unknown := errors.AsType[x509.UnknownAuthorityError](err); unknown {
				id.strangers.Store(true)
			}
			return err
		}
		subject, err := id.admit(chain)
		if err != nil {
			return err
		}
		if !peer.IsZero() && subject.ID != peer {
			return fmt.Errorf("%s %s (%s) answered where %s was expected; its address has moved to another node: %w", subject.Role, subject.ID, subject.Name, peer, ErrWrongPeer)
		}
		return nil
	}
	return config
}

// TrustCA returns the settings of a client that has a fleet's CA certificate
// and no certificate of its own.
func TrustCA(caFile string) (*tls.Config, error) {
	content, err := readFile("CA certificate", caFile)
	if err != nil {
		return nil, err
	}
	roots, _, err := parseRoots(content, caFile)
	if err != nil {
		return nil, err
	}
	return &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: poolOf(roots), ServerName: ServerName}, nil
}

// PeerOf returns who is at the other end of a connection made with ServerTLS
// or ClientTLS. A peer that showed no certificate is an error that wraps
// ErrNoSubject.
func PeerOf(state tls.ConnectionState) (Subject, error) {
	if len(state.PeerCertificates) == 0 {
		return Subject{}, fmt.Errorf("peer showed no certificate: %w", ErrNoSubject)
	}
	return SubjectOf(state.PeerCertificates[0])
}

// Admitted is PeerOf for a connection that has lasted: a certificate that has
// been revoked since the handshake, has ended, or is of a root that was dropped, is
// an error.
func (id *Identity) Admitted(state tls.ConnectionState, now time.Time) (Subject, error) {
	subject, err := PeerOf(state)
	if err != nil {
		return Subject{}, err
	}
	shown := state.PeerCertificates[0]
	if now.After(shown.NotAfter) {
		return Subject{}, fmt.Errorf("certificate of %s ended on %s: %w", subject, shown.NotAfter.UTC().Format(time.RFC3339), ErrRevoked)
	}
	if own := id.current.Load(); len(state.VerifiedChains) > 0 && !slices.ContainsFunc(state.VerifiedChains, own.leadsTo) {
		return Subject{}, fmt.Errorf("certificate of %s is of a root that the fleet has dropped; issue it another with grapevine tls issue: %w", subject, ErrRevoked)
	}
	return subject, id.checkRevoked(subject, shown)
}

// leadsTo reports whether a chain that was verified ends at a root that is trusted
// now.
func (p *proof) leadsTo(chain []*x509.Certificate) bool {
	return slices.ContainsFunc(p.roots, chain[len(chain)-1].Equal)
}
