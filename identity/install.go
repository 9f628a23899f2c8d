package identity

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Owner is whom new files are given to; the zero value leaves them to whoever
// writes.
type Owner struct {
	UID, GID int
	Set      bool
}

// pendingSuffix is that of a key whose certificate is about to be written.
const pendingSuffix = ".new"

// Install replaces the files of an identity, so that Load finds the old one or
// the new one at any moment: the key is written beside the old one, which it
// replaces after the certificate has.
func Install(files Files, caPEM []byte, pair Pair, owner Owner) error {
	pending := files.Key + pendingSuffix
	if err := WriteWhole(pending, pair.KeyPEM, 0o600, owner); err != nil {
		return err
	}
	if err := WriteWhole(files.CA, caPEM, 0o644, owner); err != nil {
		return err
	}
	if err := WriteWhole(files.Cert, pair.CertPEM, 0o644, owner); err != nil {
		return err
	}
	return settleKey(files.Key)
}

// WriteWhole writes a file anew, or leaves it as it was, and returns when it
// will survive a crash. Its folder is there, or is made.
func WriteWhole(path string, content []byte, mode fs.FileMode, owner Owner) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	f, err := os.CreateTemp(dir, ".grapevine-*") // mode 0600
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	_, err = f.Write(content)
	if err == nil && owner.Set {
		err = f.Chown(owner.UID, owner.GID)
	}
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, errors.Join(err, os.Remove(f.Name())))
	}
	return syncFolder(dir)
}

func syncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("open folder: %w", err)
	}
	return errors.Join(d.Sync(), d.Close())
}

// readNodeKey reads the key of a certificate: the one that is pending, where
// Install was cut short between the certificate and its key.
func readNodeKey(path string, certPEM []byte) ([]byte, error) {
	content, err := readKeyFile("key", path)
	if _, missing := os.Stat(path + pendingSuffix); missing != nil {
		return content, err
	}
	pending, perr := readKeyFile("key", path+pendingSuffix)
	if perr != nil {
		return content, err
	}
	if cert, cerr := parseCert(certPEM, "the certificate"); cerr == nil && keyOf(cert, pending) {
		return pending, nil
	}
	return content, err
}
