package identity

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
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

// CA is a fleet's certificate authority with its private key.
type CA struct {
	fleet string
	cert  *x509.Certificate
	key   crypto.Signer
	pair  Pair
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
		MaxPathLenZero:        true,
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
	template, err := ca.template(subject)
	if err != nil {
		return Pair{}, err
	}
	if lifetime <= 0 {
		return Pair{}, fmt.Errorf("certificate lifetime is %s; it must be positive", lifetime)
	}
	template.NotBefore, template.NotAfter = now.Add(-backdate), now.Add(lifetime)
	if template.NotAfter.After(ca.cert.NotAfter) {
		return Pair{}, fmt.Errorf("certificate would outlive its CA, which ends on %s; give a shorter lifetime", ca.cert.NotAfter.Format(time.DateOnly))
	}
	pair, err := sign(template, ca.cert, ca.key)
	if err != nil {
		return Pair{}, fmt.Errorf("issue certificate for %s: %w", subject.Name, err)
	}
	return pair, nil
}

func (ca *CA) template(subject Subject) (*x509.Certificate, error) {
	if err := subject.Role.check(); err != nil {
		return nil, err
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
		URIs:        []*url.URL{{Scheme: scheme, Host: ca.fleet, Path: "/" + string(subject.Role) + "/" + subject.ID.String()}},
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
	template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return Pair{}, err
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), parentKey)
	if err != nil {
		return Pair{}, err
	}
	return encodePair(der, key)
}
