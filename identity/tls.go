package identity

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"

	"grapevine/fleet"
)

// ErrWrongPeer is wrapped by the error of a connection to a node that proves
// to be another one, or one of another fleet.
var ErrWrongPeer = errors.New("not the expected peer")

// ServerTLS returns the settings of a listener: TLS 1.3, this node's
// certificate, these ALPN protocols in order of preference. A client may come
// without a certificate and is nobody then; one that shows a certificate must
// have it from this fleet's CA. Ask PeerOf who it is.
func (id *Identity) ServerTLS(protos ...string) *tls.Config {
	return &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{id.cert},
		NextProtos:   protos,
		ClientAuth:   tls.VerifyClientCertIfGiven,
		ClientCAs:    id.roots,
		VerifyConnection: func(state tls.ConnectionState) error {
			if len(state.PeerCertificates) == 0 {
				return nil
			}
			_, err := id.sameFleet(state)
			return err
		},
	}
}

// ClientTLS returns the settings of a connection to the node with id peer, or
// to any node of this fleet when peer is zero, offering these ALPN protocols.
func (id *Identity) ClientTLS(peer fleet.UUID, protos ...string) *tls.Config {
	return &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{id.cert},
		NextProtos:   protos,
		RootCAs:      id.roots,
		ServerName:   ServerName,
		VerifyConnection: func(state tls.ConnectionState) error {
			subject, err := id.sameFleet(state)
			if err != nil {
				return err
			}
			if !peer.IsZero() && subject.ID != peer {
				return fmt.Errorf("%s %s (%s) answered where %s was expected; its address has moved to another node: %w", subject.Role, subject.ID, subject.Name, peer, ErrWrongPeer)
			}
			return nil
		},
	}
}

// TrustCA returns the settings of a client that has a fleet's CA certificate
// and no certificate of its own.
func TrustCA(caFile string) (*tls.Config, error) {
	content, err := readFile("CA certificate", caFile)
	if err != nil {
		return nil, err
	}
	ca, err := parseCert(content, caFile)
	if err != nil {
		return nil, err
	}
	if _, err := fleetOfCA(ca, caFile); err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AddCert(ca)
	return &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: roots, ServerName: ServerName}, nil
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

// sameFleet returns the peer of a verified connection, refusing one whose
// certificate this CA signed for another fleet's name.
func (id *Identity) sameFleet(state tls.ConnectionState) (Subject, error) {
	subject, err := PeerOf(state)
	if err != nil {
		return Subject{}, err
	}
	if subject.Fleet != id.subject.Fleet {
		return Subject{}, fmt.Errorf("%s %s (%s) belongs to fleet %s and this node to %s; join nodes of one fleet: %w", subject.Role, subject.ID, subject.Name, subject.Fleet, id.subject.Fleet, ErrWrongPeer)
	}
	return subject, nil
}
