package identity

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"grapevine/fleet"
)

// ErrNotLonger is wrapped by the error of a renewal that would win no time.
var ErrNotLonger = errors.New("it ends no later than the present one; look when the CA ends that issued it, and at the certificate_life of its node")

// errOtherRoot is of an issuer that has not gone on to the fleet's new root yet.
var errOtherRoot = errors.New("it is of a root that the fleet is giving up")

// Enrolled returns when a person enrolled this node, as its certificate says.
func (id *Identity) Enrolled() time.Time { return EnrolledAt(id.leaf()) }

// RenewalDue returns from when on the certificate should be renewed: after two
// thirds of its life, so that a third is left to find somebody who does it. For
// one that a person issued for years it is as late as for those that nodes
// issue: theirs would end before it.
func (id *Identity) RenewalDue() time.Time {
	leaf := id.leaf()
	return leaf.NotAfter.Add(-min(leaf.NotAfter.Sub(leaf.NotBefore), fleet.CertificateLife) / 3)
}

// winsTime reports whether another certificate in place of this one is worth
// the change: a CA that is about to end itself adds seconds.
func winsTime(old, next *x509.Certificate) bool {
	least := min(old.NotAfter.Sub(old.NotBefore), fleet.CertificateLife) / 20
	return next.NotAfter.Sub(old.NotAfter) > least
}

// NextRequest makes a key, and a request for a certificate like the present one.
func (id *Identity) NextRequest() (csrPEM, keyPEM []byte, err error) {
	leaf := id.leaf()
	var hosts []string
	for _, name := range leaf.DNSNames {
		if name != ServerName && name != "localhost" { // every node's, whoever asks
			hosts = append(hosts, name)
		}
	}
	for _, ip := range leaf.IPAddresses {
		if !ip.IsLoopback() {
			hosts = append(hosts, ip.String())
		}
	}
	return NewRequest(leaf.Subject.CommonName, hosts)
}

// Renew goes on with a certificate that ends later than the present one, and is
// of the same subject under the roots that are trusted. It is written to files,
// where there are any, before it is used. The file of roots is left alone.
func (id *Identity) Renew(files Files, pair Pair, now time.Time) error {
	id.changing.Lock()
	defer id.changing.Unlock()
	roots := id.RootsPEM()
	next, err := New(roots, pair, now, id.subject.Role)
	if err != nil {
		return err
	}
	switch {
	case next.subject.String() != id.subject.String():
		return fmt.Errorf("the new certificate is of %s and this node is %s: %w", next.subject, id.subject, ErrWrongPeer)
	case id.Outdated() && !next.Outdated(): // it may end sooner
	case next.Outdated() && !id.Outdated():
		return fmt.Errorf("take the new certificate: %w", errOtherRoot)
	case !winsTime(id.leaf(), next.leaf()):
		return fmt.Errorf("take the new certificate, which ends on %s: %w", next.NotAfter().UTC().Format(time.RFC3339), ErrNotLonger)
	}
	if files != (Files{}) {
		if err := writeNext(files, pair); err != nil {
			return err
		}
	}
	return id.replace(roots, pair, now)
}

// CheckRenewable returns an error where the next certificate could not be
// written over the present one.
func CheckRenewable(files Files) error {
	if files == (Files{}) {
		return nil
	}
	for _, path := range []string{files.Cert, files.Key} {
		look, err := lookOf(path)
		if err != nil {
			return err
		}
		trial, err := os.CreateTemp(filepath.Dir(path), ".grapevine-*")
		if err != nil {
			return fmt.Errorf("replace %s: %w", path, err)
		}
		if err := errors.Join(trial.Chown(look.owner.UID, look.owner.GID), trial.Close(), os.Remove(trial.Name())); err != nil {
			return fmt.Errorf("replace %s by a file of the same owner: %w", path, err)
		}
	}
	return nil
}

// look is what a file that is replaced keeps.
type look struct {
	mode  fs.FileMode
	owner Owner
}

func lookOf(path string) (look, error) {
	info, err := os.Stat(path)
	if err != nil {
		return look{}, fmt.Errorf("look at what is to be replaced: %w", err)
	}
	out := look{mode: info.Mode().Perm()}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		out.owner = Owner{UID: int(stat.Uid), GID: int(stat.Gid), Set: true}
	}
	return out, nil
}

// writeNext replaces a certificate and its key, as Install does, by files that
// belong to whom the old ones did.
func writeNext(files Files, pair Pair) error {
	cert, err := lookOf(files.Cert)
	if err != nil {
		return err
	}
	key, err := lookOf(files.Key)
	if err != nil {
		return err
	}
	if err := endInstall(files); err != nil {
		return err
	}
	pending := files.Key + pendingSuffix
	if err := WriteWhole(pending, pair.KeyPEM, key.mode, key.owner); err != nil {
		return err
	}
	if err := WriteWhole(files.Cert, pair.CertPEM, cert.mode, cert.owner); err != nil {
		return errors.Join(err, os.Remove(pending))
	}
	return settleKey(files.Key)
}

// endInstall ends what was cut short between a certificate and its key: the
// pending key is the only one of the certificate that is there.
func endInstall(files Files) error {
	content, err := os.ReadFile(files.Key + pendingSuffix)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read pending key: %w", err)
	}
	certPEM, err := readFile("certificate", files.Cert)
	if err != nil {
		return err
	}
	if cert, err := parseCert(certPEM, files.Cert); err == nil && keyOf(cert, content) {
		return settleKey(files.Key)
	}
	return nil
}

// keyOf reports whether a key is that of a certificate.
func keyOf(cert *x509.Certificate, keyPEM []byte) bool {
	key, err := parseKey(keyPEM, "the pending key")
	return err == nil && samePublic(cert, key)
}

// settleKey puts the pending key in its place.
func settleKey(path string) error {
	if err := os.Rename(path+pendingSuffix, path); err != nil {
		return fmt.Errorf("write key: %w", err)
	}
	return syncFolder(filepath.Dir(path))
}
