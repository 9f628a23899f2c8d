package identity

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"slices"
	"time"
)

// Files are where a node's identity lies.
type Files struct {
	CA   string // the fleet's CA certificate
	Cert string // the node's certificate
	Key  string // its private key, not open to every user
}

// Identity is a node's proven self: its subject, its key, and the CA it
// trusts. It is immutable and may be used from several goroutines.
type Identity struct {
	subject Subject
	cert    tls.Certificate
	roots   *x509.CertPool
}

// Load reads an identity and checks that its parts belong together, that it is
// valid at now, and that its role is one of roles (none given: any).
func Load(files Files, now time.Time, roles ...Role) (*Identity, error) {
	caPEM, err := readFile("CA certificate", files.CA)
	if err != nil {
		return nil, err
	}
	certPEM, err := readFile("certificate", files.Cert)
	if err != nil {
		return nil, err
	}
	keyPEM, err := readKeyFile("key", files.Key)
	if err != nil {
		return nil, err
	}
	return build(caPEM, Pair{CertPEM: certPEM, KeyPEM: keyPEM}, files, now, roles)
}

// New is Load from memory: a node whose certificate was made a moment ago.
func New(caPEM []byte, pair Pair, now time.Time, roles ...Role) (*Identity, error) {
	names := Files{CA: "the CA certificate", Cert: "the certificate", Key: "the key"}
	return build(caPEM, pair, names, now, roles)
}

func build(caPEM []byte, pair Pair, names Files, now time.Time, roles []Role) (*Identity, error) {
	ca, err := parseCert(caPEM, names.CA)
	if err != nil {
		return nil, err
	}
	fleetName, err := fleetOfCA(ca, names.CA)
	if err != nil {
		return nil, err
	}
	leaf, err := parseCert(pair.CertPEM, names.Cert)
	if err != nil {
		return nil, err
	}
	key, err := parseKey(pair.KeyPEM, names.Key)
	if err != nil {
		return nil, err
	}
	if !samePublic(leaf, key) {
		return nil, fmt.Errorf("key %s does not belong to certificate %s; give the two files that were made at once", names.Key, names.Cert)
	}
	if err := leaf.CheckSignatureFrom(ca); err != nil {
		return nil, fmt.Errorf("certificate %s was not issued by CA %s of fleet %s; use the CA and the certificate of one fleet: %w", names.Cert, names.CA, fleetName, err)
	}
	if err := checkDates(names.Cert, leaf, now); err != nil {
		return nil, err
	}
	subject, err := SubjectOf(leaf)
	if err != nil {
		return nil, fmt.Errorf("use certificate %s: %w", names.Cert, err)
	}
	if len(roles) > 0 && !slices.Contains(roles, subject.Role) {
		return nil, fmt.Errorf("certificate %s is for the role %s, and %s is needed here; issue one with grapevine tls", names.Cert, subject.Role, roles[0])
	}
	roots := x509.NewCertPool()
	roots.AddCert(ca)
	return &Identity{
		subject: subject,
		cert:    tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key, Leaf: leaf},
		roots:   roots,
	}, nil
}

func checkDates(where string, leaf *x509.Certificate, now time.Time) error {
	switch {
	case now.Before(leaf.NotBefore):
		return fmt.Errorf("certificate %s is not valid before %s and it is %s now; set this machine's clock", where, leaf.NotBefore.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	case now.After(leaf.NotAfter):
		return fmt.Errorf("certificate %s expired on %s; issue a new one with grapevine tls", where, leaf.NotAfter.UTC().Format(time.RFC3339))
	default:
		return nil
	}
}

// Subject returns who the identity is. Its Hosts are not filled in.
func (id *Identity) Subject() Subject { return id.subject }

// Fingerprint returns the SHA-256 of the certificate, in hexadecimal.
func (id *Identity) Fingerprint() string {
	sum := sha256.Sum256(id.cert.Leaf.Raw)
	return hex.EncodeToString(sum[:])
}

// NotAfter returns when the certificate ends.
func (id *Identity) NotAfter() time.Time { return id.cert.Leaf.NotAfter }
