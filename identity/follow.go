package identity

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"slices"
)

// trusting settles which roots are trusted, of those in a file and those on the
// list in it, and returns the way from the own certificate to its root. Where
// there is a list it says which, but for the root of the own certificate: a node
// that was left behind goes on knowing itself.
func (p *proof) trusting(inFile, chain []*x509.Certificate) ([]*x509.Certificate, error) {
	roots := inFile
	if p.trust != nil {
		roots = slices.Clone(p.trust.Roots)
	}
	opts := x509.VerifyOptions{CurrentTime: withinAll(chain), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}
	p.roots, p.pool = roots, poolOf(roots)
	verified, err := p.verify(chain, opts)
	if err != nil && p.trust != nil {
		p.pool = poolOf(inFile)
		if verified, err = p.verify(chain, opts); err == nil {
			p.roots = append(roots, verified[len(verified)-1])
			p.pool = poolOf(p.roots)
		}
	}
	if err == nil {
		p.root = verified[len(verified)-1]
	}
	return verified, err
}

// TrustNow returns the list of roots that this node follows; nil where a person
// gave it its roots.
func (id *Identity) TrustNow() *Trust { return id.current.Load().trust }

// Roots returns the roots that are trusted, and Root the one that vouches for the
// own certificate. The caller changes nothing of them.
func (id *Identity) Roots() []*x509.Certificate { return id.current.Load().roots }

// Root returns the root that vouches for the own certificate.
func (id *Identity) Root() *x509.Certificate { return id.current.Load().root }

// Outdated reports whether the certificate is of another root than the one that
// the fleet's list of roots wants.
func (id *Identity) Outdated() bool {
	own := id.current.Load()
	return own.trust != nil && !own.trust.Roots[0].Equal(own.root)
}

// CheckTrust judges a list of roots that this node would follow: it is of its
// fleet, and signed by a root that it trusts. Newer is false where the list that
// it follows outdoes this one, or is the same.
func (id *Identity) CheckTrust(text []byte) (list *Trust, newer bool, err error) {
	t, signed, err := readTrust(text)
	own := id.current.Load()
	switch {
	case err != nil:
		return nil, false, err
	case t == nil:
		return nil, false, fmt.Errorf("no list of roots is given: %w", ErrNotTrusted)
	case t.Fleet != id.subject.Fleet:
		return nil, false, fmt.Errorf("list of the roots of fleet %.80q, and this node is of fleet %s: %w", t.Fleet, id.subject.Fleet, ErrWrongPeer)
	case !signed.signedBy(own.roots):
		return nil, false, fmt.Errorf("list %d of the roots of fleet %s: %w", t.Number, t.Fleet, ErrNotTrusted)
	}
	return t, t.outdoes(own.trust), nil
}

// Follow goes on with a list of roots, if it is newer than the one that is
// followed, and reports whether it was. Handshakes go by it from then on. It is
// written to the file of roots, where there is one, before it is used.
func (id *Identity) Follow(files Files, text []byte) (bool, error) {
	id.changing.Lock()
	defer id.changing.Unlock()
	t, newer, err := id.CheckTrust(text)
	if err != nil || !newer {
		return false, err
	}
	own := id.current.Load()
	chain, err := x509.ParseCertificates(bytes.Join(own.cert.Certificate, nil))
	if err != nil {
		return false, fmt.Errorf("read own certificate: %w", err)
	}
	next := &proof{cert: own.cert, trust: t}
	if _, err := next.trusting(append(slices.Clone(t.Roots), own.root), chain); err != nil {
		return false, fmt.Errorf("follow list %d of the fleet's roots: %w", t.Number, err)
	}
	if files.CA != "" {
		look, err := lookOf(files.CA)
		if err != nil {
			return false, err
		}
		if err := WriteWhole(files.CA, next.rootsPEM(), look.mode, look.owner); err != nil {
			return false, err
		}
	}
	id.goOnWith(next)
	return true, nil
}

// Issuing returns the CA that the holder of an intermediate goes on with: with the
// certificate that the fleet's list of roots has of its key, or as it is.
func (id *Identity) Issuing(ca *CA) *CA {
	list := id.TrustNow()
	if ca == nil || list == nil {
		return ca
	}
	cert := list.issuerOf(ca.key.Public())
	if cert == nil || cert.Equal(ca.cert) {
		return ca
	}
	next := *ca
	next.cert, next.pair.CertPEM = cert, pem.EncodeToMemory(&pem.Block{Type: certBlock, Bytes: cert.Raw})
	return &next
}

// RootOf returns the trusted root that vouches for a CA which a node holds; nil
// for none.
func (id *Identity) RootOf(ca *CA) *x509.Certificate {
	chain, err := id.current.Load().verify([]*x509.Certificate{ca.cert}, x509.VerifyOptions{CurrentTime: ca.cert.NotBefore, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	if err != nil {
		return nil
	}
	return chain[len(chain)-1]
}

// RootOfCredential returns the trusted root of the certificate by which a host
// signs its blocks; nil for none.
func (id *Identity) RootOfCredential(credential []byte) *x509.Certificate {
	var c blockCredential
	if len(credential) > maxCredential {
		return nil
	}
	if rest, err := asn1.Unmarshal(credential, &c); err != nil || len(rest) > 0 || len(c.Chain) == 0 || len(c.Chain) > maxChain {
		return nil
	}
	chain, err := x509.ParseCertificates(bytes.Join(c.Chain, nil))
	if err != nil {
		return nil
	}
	verified, err := id.current.Load().verify(chain, x509.VerifyOptions{CurrentTime: withinAll(chain), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	if err != nil {
		return nil
	}
	return verified[len(verified)-1]
}

// MetStranger reports whether, since it was asked last, a node answered whose
// certificate no trusted root vouches for. That may be an impostor, or the fleet
// has gone on to a root that this node has not heard of.
func (id *Identity) MetStranger() bool { return id.strangers.Swap(false) }

// StrangerTLS returns the settings of a client that shows nobody's certificate and
// takes any: to be told something that proves itself, as a list of roots does.
func StrangerTLS() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS13, InsecureSkipVerify: true} //nolint:gosec // what is told is verified by whom it was signed.
}
