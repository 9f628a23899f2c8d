package identity

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// Certificate returns the CA's certificate. The caller changes nothing of it.
func (ca *CA) Certificate() *x509.Certificate { return ca.cert }

// CertPEM encodes a certificate.
func CertPEM(cert *x509.Certificate) []byte { return encodeCerts([]*x509.Certificate{cert}) }

// ParseRoots reads the roots of one fleet, and the list that says which they are;
// nil for none.
func ParseRoots(content []byte, where string) ([]*x509.Certificate, *Trust, error) {
	roots, _, err := parseRoots(content, where)
	if err != nil {
		return nil, nil, err
	}
	list, err := ReadTrust(content)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", where, err)
	}
	if list != nil {
		roots = list.Roots
	}
	return roots, list, nil
}

// ParseIssuer reads the certificate of an intermediate; false for another.
func ParseIssuer(content []byte) (*x509.Certificate, bool) {
	cert, err := parseCert(content, "the CA that a node holds")
	if err != nil {
		return nil, false
	}
	_, is := fleetOfIntermediate(cert)
	return cert, is
}

// PEM returns what a file of roots holds where this list is followed.
func (t *Trust) PEM() []byte { return append(encodeCerts(t.Roots), t.text...) }

// LoadRoots reads the roots of which the keys are at hand: each certificate in
// certFiles with its own among keyFiles, however the files are named. What is not
// there is passed over.
func LoadRoots(certFiles, keyFiles []string) ([]*CA, error) {
	var keys [][]byte
	for _, path := range keyFiles {
		if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		key, err := readKeyFile("CA key", path)
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	var out []*CA
	for _, path := range certFiles {
		content, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read CA certificate: %w", err)
		}
		roots, _, err := parseRoots(content, path)
		if err != nil {
			return nil, err
		}
		for _, root := range roots {
			for _, key := range keys {
				if keyOf(root, key) {
					ca, err := caFromPair(Pair{CertPEM: encodeCerts([]*x509.Certificate{root}), KeyPEM: key}, path)
					if err != nil {
						return nil, err
					}
					out = append(out, ca)
				}
			}
		}
	}
	return out, nil
}
