package identity

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"

	"grapevine/fleet"
)

// ErrNotTrusted is wrapped by the error of a list of roots that none of the
// roots signed which a node trusts.
var ErrNotTrusted = errors.New("no root that is trusted here signed it")

// trustBlock is the PEM type of a list of roots. Readers of certificates pass
// over it, those of earlier releases too.
const trustBlock = "GRAPEVINE TRUST"

// Trust is the list of the roots that a fleet trusts. Lists have numbers, and a
// node goes on to a list with a higher one if a root that it trusts by then has
// signed it. So a new root comes in by the word of the old one, and nothing that
// anybody repeats brings the old one back.
type Trust struct {
	Fleet  string
	Number int64
	// Roots are those that are trusted. Certificates are to be of the first: who
	// has another one renews it.
	Roots []*x509.Certificate
	// Issuers are the intermediates of the fleet, each vouched for by the first
	// root: who holds the key of one goes on with this certificate of it. So no key
	// has to be carried to a node when the root changes.
	Issuers []*x509.Certificate

	text []byte // as it is carried: PEM
}

// trustList is what is signed, DER encoded. Later versions may add to its end.
type trustList struct {
	Fleet   string `asn1:"utf8"`
	Number  int64
	Roots   [][]byte
	Issuers [][]byte
}

type signedTrust struct {
	List       []byte
	Signatures []trustSignature
}

type trustSignature struct {
	Root      []byte // SHA-256 of its certificate
	Signature []byte
}

// toSign is what a root signs of a list. No certificate begins so.
func toSign(list []byte) []byte { return append([]byte("grapevine trust 1\x00"), list...) }

// SignTrust makes a list of roots, signed by those of which the keys are at hand.
// The old ones sign so that it is believed, the new ones to show that their keys
// are there.
func SignTrust(t Trust, by []*CA) ([]byte, error) {
	list := trustList{Fleet: t.Fleet, Number: t.Number, Roots: rawOf(t.Roots), Issuers: rawOf(t.Issuers)}
	der, err := asn1.Marshal(list)
	if err != nil {
		return nil, fmt.Errorf("encode list of roots: %w", err)
	}
	signed := signedTrust{List: der}
	for _, ca := range by {
		digest := sha256.Sum256(toSign(der))
		signature, err := ca.key.Sign(rand.Reader, digest[:], crypto.SHA256)
		if err != nil {
			return nil, fmt.Errorf("sign list of roots: %w", err)
		}
		name := sha256.Sum256(ca.cert.Raw)
		signed.Signatures = append(signed.Signatures, trustSignature{name[:], signature})
	}
	whole, err := asn1.Marshal(signed)
	if err != nil {
		return nil, fmt.Errorf("encode list of roots: %w", err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: trustBlock, Bytes: whole})
	if len(text) > fleet.MaxTrustBytes {
		return nil, fmt.Errorf("the list of roots takes %d bytes, at most %d are carried; retire some of the %d intermediate CAs", len(text), fleet.MaxTrustBytes, len(t.Issuers))
	}
	_, err = ReadTrust(text)
	return text, err
}

func rawOf(certs []*x509.Certificate) [][]byte {
	out := make([][]byte, len(certs))
	for i, cert := range certs {
		out[i] = cert.Raw
	}
	return out
}

// ReadTrust reads the list of roots in a text, such as a file of roots, and
// returns nil where there is none. Who signed it is not judged.
func ReadTrust(text []byte) (*Trust, error) {
	t, _, err := readTrust(text)
	return t, err
}

func readTrust(text []byte) (*Trust, *signedTrust, error) {
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return nil, nil, nil
		}
		if block.Type != trustBlock {
			continue
		}
		t, signed, err := parseTrust(block.Bytes)
		if err != nil {
			return nil, nil, fmt.Errorf("read list of roots: %w", err)
		}
		t.text = pem.EncodeToMemory(&pem.Block{Type: trustBlock, Bytes: block.Bytes})
		return t, signed, nil
	}
}

func parseTrust(der []byte) (*Trust, *signedTrust, error) {
	if len(der) > fleet.MaxTrustBytes {
		return nil, nil, fmt.Errorf("it takes %d bytes; at most %d are read", len(der), fleet.MaxTrustBytes)
	}
	var signed signedTrust
	if rest, err := asn1.Unmarshal(der, &signed); err != nil || len(rest) > 0 {
		return nil, nil, errors.New("it is not whole")
	}
	var list trustList
	if rest, err := asn1.Unmarshal(signed.List, &list); err != nil || len(rest) > 0 {
		return nil, nil, errors.New("what is signed in it is not whole")
	}
	t := &Trust{Fleet: list.Fleet, Number: list.Number}
	var err error
	if t.Roots, err = parseDER(list.Roots); err != nil {
		return nil, nil, err
	}
	if t.Issuers, err = parseDER(list.Issuers); err != nil {
		return nil, nil, err
	}
	return t, &signed, t.check()
}

func parseDER(from [][]byte) ([]*x509.Certificate, error) {
	if len(from) > maxChain {
		return nil, fmt.Errorf("it has %d certificates of a kind; at most %d are read", len(from), maxChain)
	}
	out := make([]*x509.Certificate, len(from))
	for i, der := range from {
		var err error
		if out[i], err = x509.ParseCertificate(der); err != nil {
			return nil, fmt.Errorf("certificate %d in it: %w", i+1, err)
		}
	}
	return out, nil
}

// check judges what a list states, whoever signed it.
func (t *Trust) check() error {
	if t.Number < 1 || len(t.Roots) == 0 {
		return errors.New("it has no number, or no root")
	}
	for _, root := range t.Roots {
		name, err := fleetOfCA(root, "a root in it")
		if err != nil {
			return err
		}
		if name != t.Fleet {
			return fmt.Errorf("it is of fleet %.80q and has a root of fleet %s: %w", t.Fleet, name, ErrWrongPeer)
		}
	}
	for _, issuer := range t.Issuers {
		if name, is := fleetOfIntermediate(issuer); !is || name != t.Fleet || issuer.CheckSignatureFrom(t.Roots[0]) != nil {
			return fmt.Errorf("%q in it is no intermediate that its first root vouches for", issuer.Subject.CommonName)
		}
	}
	return nil
}

// signedBy reports whether one of these roots signed a list.
func (s *signedTrust) signedBy(roots []*x509.Certificate) bool {
	for _, root := range roots {
		name := sha256.Sum256(root.Raw)
		for i := range s.Signatures {
			if bytes.Equal(s.Signatures[i].Root, name[:]) && root.CheckSignature(algorithmOf(root), toSign(s.List), s.Signatures[i].Signature) == nil {
				return true
			}
		}
	}
	return false
}

// Text returns the list as it is carried, PEM.
func (t *Trust) Text() []byte { return t.text }

// outdoes reports whether a list is to be followed in place of another, of which
// nil is the one that says nothing. Of two with one number, which two people made
// at once, every node prefers the same.
func (t *Trust) outdoes(other *Trust) bool {
	if other == nil || t.Number != other.Number {
		return other == nil || t.Number > other.Number
	}
	a, b := sha256.Sum256(t.text), sha256.Sum256(other.text)
	return bytes.Compare(a[:], b[:]) > 0
}

// issuerOf returns the intermediate of this key, nil for none.
func (t *Trust) issuerOf(key crypto.PublicKey) *x509.Certificate {
	for _, cert := range t.Issuers {
		if public, ok := cert.PublicKey.(interface{ Equal(x crypto.PublicKey) bool }); ok && public.Equal(key) {
			return cert
		}
	}
	return nil
}

// RootName is what a root is called where people see it: the SHA-256 of its
// certificate, in hexadecimal.
func RootName(root *x509.Certificate) string {
	sum := sha256.Sum256(root.Raw)
	return hex.EncodeToString(sum[:])
}
