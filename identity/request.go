package identity

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"grapevine/fleet"
)

// requestBlock is the PEM type of a certificate request.
const requestBlock = "CERTIFICATE REQUEST"

// NewRequest makes a key and a request for a certificate with this name and
// these further DNS names and addresses. The key stays with the caller.
func NewRequest(name string, hosts []string) (csrPEM, keyPEM []byte, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("make key: %w", err)
	}
	template := &x509.CertificateRequest{Subject: pkix.Name{CommonName: name}}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else if host != "" {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	if err != nil {
		return nil, nil, fmt.Errorf("make certificate request: %w", err)
	}
	keyPEM, err = encodeKey(key)
	return pem.EncodeToMemory(&pem.Block{Type: requestBlock, Bytes: der}), keyPEM, err
}

// Request is a certificate request whose bearer has the key.
type Request struct {
	Name   string
	Hosts  []string
	public crypto.PublicKey
}

// ReadRequest judges what a stranger sends.
func ReadRequest(csrPEM []byte) (Request, error) {
	if len(csrPEM) > fleet.MaxRequestBytes {
		return Request{}, fmt.Errorf("certificate request is %d bytes long; at most %d are taken", len(csrPEM), fleet.MaxRequestBytes)
	}
	block, _ := pem.Decode(csrPEM)
	if block == nil || block.Type != requestBlock {
		return Request{}, errors.New("no PEM certificate request is given")
	}
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return Request{}, fmt.Errorf("read certificate request: %w", err)
	}
	if key, ok := csr.PublicKey.(*ecdsa.PublicKey); !ok || key.Curve != elliptic.P256() {
		return Request{}, errors.New("certificate request is for another kind of key than ECDSA P-256")
	}
	if err := csr.CheckSignature(); err != nil {
		return Request{}, fmt.Errorf("certificate request is not signed by its key: %w", err)
	}
	if err := fleet.CheckName("name", csr.Subject.CommonName); err != nil {
		return Request{}, err
	}
	out := Request{Name: csr.Subject.CommonName, public: csr.PublicKey, Hosts: slices.Clone(csr.DNSNames)}
	for _, ip := range csr.IPAddresses {
		out.Hosts = append(out.Hosts, ip.String())
	}
	if len(out.Hosts) > fleet.MaxCertificateHosts {
		return Request{}, fmt.Errorf("certificate request names %d hosts; at most %d are taken", len(out.Hosts), fleet.MaxCertificateHosts)
	}
	return out, nil
}

// Certify issues a certificate for a request, good for life or until shortly
// before the CA itself ends. Since is when a person enrolled the subject: now,
// or what the certificate says that is renewed.
func (ca *CA) Certify(r Request, role Role, id fleet.UUID, life time.Duration, now, since time.Time) ([]byte, error) {
	if left := ca.cert.NotAfter.Sub(now); left < life {
		life = left
	}
	return ca.certify(Subject{Role: role, ID: id, Name: r.Name, Hosts: r.Hosts}, r.public, life.Truncate(time.Second), now, since)
}

// LoadIssuer reads the CA that a node holds, and checks that the node's own
// fleet trusts it. Without files there is none, and no error.
func LoadIssuer(certFile, keyFile string, own *Identity, now time.Time) (*CA, error) {
	if certFile == "" && keyFile == "" {
		return nil, nil //nolint:nilnil // most nodes hold none
	}
	ca, err := LoadCA(certFile, keyFile)
	if err != nil {
		return nil, err
	}
	ca = own.Issuing(ca)
	if err := checkDates(certFile, ca.cert, now); err != nil {
		return nil, err
	}
	if _, err := own.current.Load().verify([]*x509.Certificate{ca.cert}, x509.VerifyOptions{CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}); err != nil || ca.fleet != own.subject.Fleet {
		return nil, errors.Join(fmt.Errorf("CA %s is not one that the roots of fleet %s vouch for; make one with grapevine tls intermediate", certFile, own.subject.Fleet), err)
	}
	return ca, nil
}

// RootHash is the SHA-256 of the root that vouches for this node's certificate.
func (id *Identity) RootHash() [sha256.Size]byte { return sha256.Sum256(id.current.Load().root.Raw) }

// TrustHash returns the settings of a client that knows a fleet by the hash of
// one of its roots alone, which is among those in rootsPEM, and the fleet's name.
// It takes any agent or registry that this root vouches for.
func TrustHash(rootsPEM []byte, hash [sha256.Size]byte) (*tls.Config, string, error) {
	roots, name, err := parseRoots(rootsPEM, "what the node sent")
	if err != nil {
		return nil, "", err
	}
	at := slices.IndexFunc(roots, func(root *x509.Certificate) bool { return sha256.Sum256(root.Raw) == hash })
	if at < 0 {
		return nil, "", fmt.Errorf("the node is not of the fleet that the token is for: its CA is another one; check the address: %w", ErrWrongPeer)
	}
	stranger := &Identity{subject: Subject{Fleet: name}}
	stranger.current.Store(&proof{roots: roots[at : at+1], pool: poolOf(roots[at : at+1])})
	config := stranger.ClientTLS(fleet.UUID{})
	config.GetClientCertificate = nil
	return config, name, nil
}
