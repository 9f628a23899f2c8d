package identity

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"time"
)

// maxChain bounds what a peer may show, and what a file of roots may hold.
const maxChain = 16

// parseCerts reads the certificates of a PEM file, of which there is one at
// least.
func parseCerts(content []byte, where string) ([]*x509.Certificate, error) {
	var certs []*x509.Certificate
	for rest := content; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != certBlock {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("read certificate %s: %w", where, err)
		}
		if certs = append(certs, cert); len(certs) > maxChain {
			return nil, fmt.Errorf("%s holds more than %d certificates; leave those in that are needed", where, maxChain)
		}
	}
	if len(certs) == 0 {
		return nil, fmt.Errorf("%s holds no PEM certificate; give the file that grapevine tls wrote", where)
	}
	return certs, nil
}

// parseRoots reads the roots of one fleet, and its name.
func parseRoots(content []byte, where string) ([]*x509.Certificate, string, error) {
	roots, err := parseCerts(content, where)
	if err != nil {
		return nil, "", err
	}
	name := ""
	for _, root := range roots {
		its, err := fleetOfCA(root, where)
		if err != nil {
			return nil, "", err
		}
		if name != "" && its != name {
			return nil, "", fmt.Errorf("%s holds CAs of the fleets %s and %s; leave those of one in it", where, name, its)
		}
		name = its
	}
	return roots, name, nil
}

func poolOf(certs []*x509.Certificate) *x509.CertPool {
	pool := x509.NewCertPool()
	for _, cert := range certs {
		pool.AddCert(cert)
	}
	return pool
}

// verify returns the way from a certificate, which comes first, to a root.
func (p *proof) verify(shown []*x509.Certificate, opts x509.VerifyOptions) ([]*x509.Certificate, error) {
	if len(shown) == 0 {
		return nil, fmt.Errorf("no certificate is shown: %w", ErrNoSubject)
	}
	opts.Roots, opts.Intermediates = p.pool, poolOf(shown[1:])
	chains, err := shown[0].Verify(opts)
	if err != nil {
		return nil, err
	}
	return chains[0], nil
}

// withinAll is a moment at which all of a chain is valid, where there is one.
func withinAll(chain []*x509.Certificate) time.Time {
	var last time.Time
	for _, cert := range chain {
		if cert.NotBefore.After(last) {
			last = cert.NotBefore
		}
	}
	return last
}

// errNotTheirs is of a certificate that its issuer had no right to.
var errNotTheirs = errors.New("an intermediate CA issues to agents and registries only")

// subjectOfChain returns the subject of a verified chain. An intermediate lies
// on a node, so it makes no operators.
func subjectOfChain(chain []*x509.Certificate) (Subject, error) {
	subject, err := SubjectOf(chain[0])
	if err != nil {
		return Subject{}, err
	}
	if len(chain) > 2 && subject.Role == Operator {
		return Subject{}, fmt.Errorf("certificate of %s: %w", subject, errNotTheirs)
	}
	return subject, nil
}

// Chain returns the certificate and what leads from it to a root, DER encoded.
// The caller changes nothing of it.
func (id *Identity) Chain() [][]byte { return id.current.Load().cert.Certificate }

// RootsPEM returns the roots that are trusted, and the list that says so.
func (id *Identity) RootsPEM() []byte { return id.current.Load().rootsPEM() }

func (p *proof) rootsPEM() []byte {
	out := encodeCerts(p.roots)
	if p.trust != nil {
		out = append(out, p.trust.text...)
	}
	return out
}

func encodeCerts(certs []*x509.Certificate) []byte {
	var out bytes.Buffer
	for _, cert := range certs {
		_ = pem.Encode(&out, &pem.Block{Type: certBlock, Bytes: cert.Raw}) // a buffer takes all
	}
	return out.Bytes()
}

// Sign signs the SHA-256 of content with the certificate's key. What signs is
// the certificate that Chain returns, unless Replace comes between: take
// SignWithChain where that matters.
func (id *Identity) Sign(content []byte) ([]byte, error) {
	signature, _, err := id.SignWithChain(content)
	return signature, err
}

// SignWithChain is Sign, and returns the chain of the certificate that signed.
func (id *Identity) SignWithChain(content []byte) (signature []byte, chain [][]byte, err error) {
	own := id.current.Load()
	digest := sha256.Sum256(content)
	signature, err = own.cert.PrivateKey.(crypto.Signer).Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		return nil, nil, fmt.Errorf("sign as %s: %w", id.subject, err)
	}
	return signature, own.cert.Certificate, nil
}

// Verify returns the certificate and the subject of a DER-encoded chain, leaf
// first, that a root of this fleet vouches for at the time at; the zero time
// takes one also after its end. Revoked ones are refused.
func (id *Identity) Verify(chain [][]byte, at time.Time) (*x509.Certificate, Subject, error) {
	if len(chain) == 0 || len(chain) > maxChain {
		return nil, Subject{}, fmt.Errorf("a chain of %d certificates is shown: %w", len(chain), ErrNoSubject)
	}
	certs := make([]*x509.Certificate, len(chain))
	for i, der := range chain {
		var err error
		if certs[i], err = x509.ParseCertificate(der); err != nil {
			return nil, Subject{}, fmt.Errorf("read certificate: %w", err)
		}
	}
	if at.IsZero() {
		at = withinAll(certs)
	}
	verified, err := id.current.Load().verify(certs, x509.VerifyOptions{CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	if err != nil {
		return nil, Subject{}, err
	}
	subject, err := id.admit(verified)
	return certs[0], subject, err
}

// VerifyEver is Verify whatever became of the certificate since: whether it has
// ended, or was revoked.
func (id *Identity) VerifyEver(chain [][]byte) (*x509.Certificate, Subject, error) {
	leaf, subject, err := id.Verify(chain, time.Time{})
	if errors.Is(err, ErrRevoked) { // all else was found good
		err = nil
	}
	return leaf, subject, err
}

// admit judges a verified chain: its fleet, its issuer's right, and whether it
// was revoked.
func (id *Identity) admit(chain []*x509.Certificate) (Subject, error) {
	subject, err := subjectOfChain(chain)
	if err != nil {
		return Subject{}, err
	}
	if subject.Fleet != id.subject.Fleet {
		return Subject{}, fmt.Errorf("%s %s (%s) belongs to fleet %s and this node to %s; join nodes of one fleet: %w", subject.Role, subject.ID, subject.Name, subject.Fleet, id.subject.Fleet, ErrWrongPeer)
	}
	id.seen.note(subject.ID, EnrolledAt(chain[0]))
	return subject, id.checkRevoked(subject, chain[0])
}
