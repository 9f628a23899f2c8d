package identity

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"time"

	"grapevine/fleet"
)

const (
	// caLifetime outlives the hardware of a fleet; a CA is replaced by hand.
	caLifetime = 20 * 365 * 24 * time.Hour
	// backdate lets a host whose clock is behind accept a new certificate.
	backdate = time.Hour
)

// CA is a fleet's certificate authority with its private key: a root, or an
// intermediate that a root made and that a node may hold.
type CA struct {
	fleet string
	cert  *x509.Certificate
	key   crypto.Signer
	pair  Pair // of an intermediate, its certificate alone
}

// NewCA makes a certificate authority for a fleet. Nothing is written.
func NewCA(fleetName string, now time.Time) (*CA, error) {
	if err := CheckFleetName(fleetName); err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "Grapevine fleet " + fleetName},
		URIs:                  []*url.URL{{Scheme: scheme, Host: fleetName}},
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.Add(caLifetime),
		IsCA:                  true,
		MaxPathLen:            1, // an intermediate may stand between it and a node
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	pair, err := sign(template, nil, nil)
	if err != nil {
		return nil, fmt.Errorf("make CA of fleet %s: %w", fleetName, err)
	}
	return caFromPair(pair, "the new CA")
}

// LoadCA reads a certificate authority from its two files.
func LoadCA(certFile, keyFile string) (*CA, error) {
	certPEM, err := readFile("CA certificate", certFile)
	if err != nil {
		return nil, err
	}
	keyPEM, err := readKeyFile("CA key", keyFile)
	if err != nil {
		return nil, err
	}
	return caFromPair(Pair{CertPEM: certPEM, KeyPEM: keyPEM}, certFile)
}

func caFromPair(pair Pair, where string) (*CA, error) {
	cert, err := parseCert(pair.CertPEM, where)
	if err != nil {
		return nil, err
	}
	name, err := fleetOfCA(cert, where)
	if its, ok := fleetOfIntermediate(cert); ok {
		name, err = its, nil
	}
	if err != nil {
		return nil, err
	}
	key, err := parseKey(pair.KeyPEM, where)
	if err != nil {
		return nil, err
	}
	if !samePublic(cert, key) {
		return nil, fmt.Errorf("CA certificate %s and its key do not belong together; give the two files that were made at once", where)
	}
	return &CA{fleet: name, cert: cert, key: key, pair: pair}, nil
}

// fleetOfCA returns the fleet's name from its CA certificate.
func fleetOfCA(cert *x509.Certificate, where string) (string, error) {
	if cert.IsCA {
		for _, uri := range cert.URIs {
			if uri.Scheme == scheme && uri.Path == "" && CheckFleetName(uri.Host) == nil {
				return uri.Host, nil
			}
		}
	}
	return "", fmt.Errorf("%s is not the certificate of a fleet CA; make one with grapevine tls: %w", where, ErrNoSubject)
}

// Fleet returns the fleet's name.
func (ca *CA) Fleet() string { return ca.fleet }

// CertPEM returns the CA certificate, which every node of the fleet gets.
func (ca *CA) CertPEM() []byte { return ca.pair.CertPEM }

// Pair returns the CA's certificate and private key, to be written to files.
func (ca *CA) Pair() Pair { return ca.pair }

// Issue makes a key and a certificate for a subject, good for lifetime from
// now. Certificates of agents and registries serve and connect; those of
// operators only connect.
func (ca *CA) Issue(subject Subject, lifetime time.Duration, now time.Time) (Pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Pair{}, fmt.Errorf("make key: %w", err)
	}
	chain, err := ca.certify(subject, key.Public(), lifetime, now, now)
	if err != nil {
		return Pair{}, err
	}
	keyPEM, err := encodeKey(key)
	return Pair{CertPEM: chain, KeyPEM: keyPEM}, err
}

// certify signs a certificate for a public key, and returns it with what leads
// from it to a root. Since is when a person enrolled the subject.
func (ca *CA) certify(subject Subject, public crypto.PublicKey, lifetime time.Duration, now, since time.Time) ([]byte, error) {
	template, err := ca.template(subject, since)
	if err != nil {
		return nil, err
	}
	if lifetime <= 0 {
		return nil, fmt.Errorf("certificate lifetime is %s; it must be positive", lifetime)
	}
	template.NotBefore, template.NotAfter = now.Add(-backdate), now.Add(lifetime)
	if template.NotAfter.After(ca.cert.NotAfter) {
		return nil, fmt.Errorf("certificate would outlive its CA, which ends on %s; give a shorter lifetime", ca.cert.NotAfter.Format(time.DateOnly))
	}
	der, err := certificate(template, ca.cert, public, ca.key)
	if err != nil {
		return nil, fmt.Errorf("issue certificate for %s: %w", subject.Name, err)
	}
	chain := pem.EncodeToMemory(&pem.Block{Type: certBlock, Bytes: der})
	if ca.Intermediate() {
		chain = append(chain, ca.pair.CertPEM...)
	}
	return chain, nil
}

func (ca *CA) template(subject Subject, since time.Time) (*x509.Certificate, error) {
	if err := subject.Role.check(); err != nil {
		return nil, err
	}
	if subject.Role == Operator && ca.Intermediate() {
		return nil, fmt.Errorf("issue certificate for %s: %w; use the fleet's root, as tls init made it", subject.Name, errNotTheirs)
	}
	if subject.ID.IsZero() {
		if subject.Role != Operator {
			return nil, fmt.Errorf("certificate for %s %.80q needs an id; give the node's own", subject.Role, subject.Name)
		}
		var random [16]byte
		_, _ = rand.Read(random[:]) // crypto/rand never fails: it ends the program instead
		subject.ID = fleet.NewUUIDv4(random)
	}
	subject.Fleet = ca.fleet
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: subject.Name},
		URIs:        []*url.URL{{Scheme: scheme, Host: ca.fleet, Path: "/" + string(subject.Role) + "/" + subject.ID.String(), RawQuery: sinceQuery(since)}},
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	if subject.Role != Operator {
		template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
		addHosts(template, subject.Hosts)
	}
	return template, nil
}

func addHosts(template *x509.Certificate, hosts []string) {
	template.DNSNames = []string{ServerName, "localhost"}
	template.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1).To4(), net.IPv6loopback}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else if host != "" {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
}

// sign makes a key and signs the template with the parent's, or with the new
// key itself when there is no parent.
func sign(template, parent *x509.Certificate, parentKey crypto.Signer) (Pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Pair{}, err
	}
	if parent == nil {
		parent, parentKey = template, key
	}
	der, err := certificate(template, parent, key.Public(), parentKey)
	if err != nil {
		return Pair{}, err
	}
	keyPEM, err := encodeKey(key)
	return Pair{CertPEM: pem.EncodeToMemory(&pem.Block{Type: certBlock, Bytes: der}), KeyPEM: keyPEM}, err
}

// certificate signs the template, under a serial number of its own.
func certificate(template, parent *x509.Certificate, public crypto.PublicKey, parentKey crypto.Signer) ([]byte, error) {
	var err error
	if template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127)); err != nil {
		return nil, err
	}
	return x509.CreateCertificate(rand.Reader, template, parent, public, parentKey)
}
