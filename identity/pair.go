package identity

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Pair is a certificate and its private key, PEM encoded.
type Pair struct {
	CertPEM []byte
	KeyPEM  []byte
}

const (
	certBlock = "CERTIFICATE"
	keyBlock  = "PRIVATE KEY"
)

// Write writes the pair to two new files, the key readable by its owner only.
// It never replaces a file, and leaves nothing behind on an error.
func (p Pair) Write(certFile, keyFile string) error {
	if err := WriteNew(keyFile, p.KeyPEM, 0o600); err != nil {
		return err
	}
	if err := WriteNew(certFile, p.CertPEM, 0o644); err != nil {
		return errors.Join(err, os.Remove(keyFile))
	}
	return nil
}

// WriteNew writes a file that does not exist yet, and its folder.
func WriteNew(path string, content []byte, mode fs.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s exists already and is not replaced; move it away first: %w", path, fs.ErrExist)
	}
	if err != nil {
		return fmt.Errorf("write file: %w", err)
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", path, err), os.Remove(path))
	}
	return nil
}

func encodeKey(key crypto.Signer) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: keyBlock, Bytes: der}), nil
}

func parseCert(content []byte, where string) (*x509.Certificate, error) {
	block, _ := pem.Decode(content)
	if block == nil || block.Type != certBlock {
		return nil, fmt.Errorf("%s holds no PEM certificate; give the .crt file that grapevine tls wrote", where)
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("read certificate %s: %w", where, err)
	}
	return cert, nil
}

func parseKey(content []byte, where string) (crypto.Signer, error) {
	block, _ := pem.Decode(content)
	if block == nil || block.Type != keyBlock {
		return nil, fmt.Errorf("%s holds no PEM private key; give the .key file that grapevine tls wrote", where)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("read private key %s: %w", where, err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("private key %s cannot sign; give the .key file that grapevine tls wrote", where)
	}
	return signer, nil
}

func samePublic(cert *x509.Certificate, key crypto.Signer) bool {
	public, ok := key.Public().(interface{ Equal(x crypto.PublicKey) bool })
	return ok && public.Equal(cert.PublicKey)
}

func readFile(what, path string) ([]byte, error) {
	if path == "" {
		return nil, fmt.Errorf("no %s file is given; name one (grapevine tls makes it)", what)
	}
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s file %s does not exist; make it with grapevine tls or correct the path: %w", what, path, fs.ErrNotExist)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", what, err)
	}
	return content, nil
}

// readKeyFile refuses a secret that every user of the machine may read.
func readKeyFile(what, path string) ([]byte, error) {
	content, err := readFile(what, path)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", what, err)
	}
	if info.Mode().Perm()&0o007 != 0 {
		return nil, fmt.Errorf("%s file %s is open to every user (mode %04o); run chmod 600 on it", what, path, info.Mode().Perm())
	}
	return content, nil
}
