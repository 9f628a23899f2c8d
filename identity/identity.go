package identity

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"grapevine/fleet"
)

// Files are where a node's identity lies.
type Files struct {
	CA   string // the fleet's roots: one CA certificate, or several while they change
	Cert string // the node's certificate, and what leads from it to a root
	Key  string // its private key, not open to every user
}

// Identity is a node's proven self. Who it is never changes; the certificate
// that proves it and the roots that it trusts may, while the node runs: see
// Replace. It may be used from several goroutines.
type Identity struct {
	subject Subject
	current atomic.Pointer[proof]
	changed atomic.Pointer[chan struct{}]
	revoked atomic.Pointer[map[fleet.UUID]time.Time]
	// changing is held while current is made from what it was.
	changing  sync.Mutex
	strangers atomic.Bool
	seen      enrolments
	guards    guards
}

// proof is what an identity holds at a moment. It is immutable.
type proof struct {
	cert  tls.Certificate // the leaf, then what leads from it to a root
	roots []*x509.Certificate
	pool  *x509.CertPool    // of roots
	root  *x509.Certificate // that vouches for cert
	trust *Trust            // that says which roots; nil where a person did
}

// Load reads an identity and checks that its parts belong together, that it is
// valid at now, and that its role is one of roles (none given: any).
func Load(files Files, now time.Time, roles ...Role) (*Identity, error) {
	caPEM, err := readFile("CA certificate", files.CA)
	if err != nil {
		return nil, err
	}
	certPEM, err := readFile("certificate", files.Cert)
	if err != nil {
		return nil, err
	}
	keyPEM, err := readNodeKey(files.Key, certPEM)
	if err != nil {
		return nil, err
	}
	return build(caPEM, Pair{CertPEM: certPEM, KeyPEM: keyPEM}, files, now, roles)
}

// New is Load from memory: a node whose certificate was made a moment ago.
func New(caPEM []byte, pair Pair, now time.Time, roles ...Role) (*Identity, error) {
	names := Files{CA: "the CA certificate", Cert: "the certificate", Key: "the key"}
	return build(caPEM, pair, names, now, roles)
}

func build(caPEM []byte, pair Pair, names Files, now time.Time, roles []Role) (*Identity, error) {
	made, subject, err := prove(caPEM, pair, names, now)
	if err != nil {
		return nil, err
	}
	if len(roles) > 0 && !slices.Contains(roles, subject.Role) {
		return nil, fmt.Errorf("certificate %s is for the role %s, and %s is needed here; issue one with grapevine tls", names.Cert, subject.Role, roles[0])
	}
	id := &Identity{subject: subject}
	id.current.Store(made)
	changed := make(chan struct{})
	id.changed.Store(&changed)
	return id, nil
}

// prove checks that the parts of an identity belong together.
func prove(caPEM []byte, pair Pair, names Files, now time.Time) (*proof, Subject, error) {
	roots, fleetName, err := parseRoots(caPEM, names.CA)
	if err != nil {
		return nil, Subject{}, err
	}
	chain, err := parseCerts(pair.CertPEM, names.Cert)
	if err != nil {
		return nil, Subject{}, err
	}
	key, err := parseKey(pair.KeyPEM, names.Key)
	if err != nil {
		return nil, Subject{}, err
	}
	leaf := chain[0]
	if !samePublic(leaf, key) {
		return nil, Subject{}, fmt.Errorf("key %s does not belong to certificate %s; give the two files that were made at once", names.Key, names.Cert)
	}
	made := &proof{cert: tls.Certificate{PrivateKey: key, Leaf: leaf}}
	for _, cert := range chain {
		made.cert.Certificate = append(made.cert.Certificate, cert.Raw)
	}
	if made.trust, err = ReadTrust(caPEM); err != nil {
		return nil, Subject{}, fmt.Errorf("%s: %w", names.CA, err)
	}
	verified, err := made.trusting(roots, chain)
	if err != nil {
		return nil, Subject{}, fmt.Errorf("certificate %s was not issued by CA %s of fleet %s; use the CA and the certificate of one fleet: %w", names.Cert, names.CA, fleetName, err)
	}
	for _, cert := range chain {
		if err := checkDates(names.Cert, cert, now); err != nil {
			return nil, Subject{}, err
		}
	}
	subject, err := subjectOfChain(verified)
	if err != nil {
		return nil, Subject{}, fmt.Errorf("use certificate %s: %w", names.Cert, err)
	}
	return made, subject, nil
}

func checkDates(where string, leaf *x509.Certificate, now time.Time) error {
	switch {
	case now.Before(leaf.NotBefore):
		return fmt.Errorf("certificate %s is not valid before %s and it is %s now; set this machine's clock", where, leaf.NotBefore.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	case now.After(leaf.NotAfter):
		return fmt.Errorf("certificate %s expired on %s; issue a new one with grapevine tls", where, leaf.NotAfter.UTC().Format(time.RFC3339))
	default:
		return nil
	}
}

// Subject returns who the identity is. Its Hosts are not filled in.
func (id *Identity) Subject() Subject { return id.subject }

// Fingerprint returns the SHA-256 of the certificate, in hexadecimal.
func (id *Identity) Fingerprint() string {
	sum := sha256.Sum256(id.leaf().Raw)
	return hex.EncodeToString(sum[:])
}

// NotBefore returns when the certificate begins.
func (id *Identity) NotBefore() time.Time { return id.leaf().NotBefore }

// NotAfter returns when the certificate ends.
func (id *Identity) NotAfter() time.Time { return id.leaf().NotAfter }

func (id *Identity) leaf() *x509.Certificate { return id.current.Load().cert.Leaf }

// Replace goes on with another certificate of the same subject and the roots
// in caPEM: handshakes use them from then on, and listeners need no restart.
// What does not fit is refused, and nothing changes.
func (id *Identity) Replace(caPEM []byte, pair Pair, now time.Time) error {
	id.changing.Lock()
	defer id.changing.Unlock()
	return id.replace(caPEM, pair, now)
}

func (id *Identity) replace(caPEM []byte, pair Pair, now time.Time) error {
	names := Files{CA: "the new CA certificate", Cert: "the new certificate", Key: "the new key"}
	made, subject, err := prove(caPEM, pair, names, now)
	if err != nil {
		return err
	}
	if subject.String() != id.subject.String() {
		return fmt.Errorf("the new certificate is of %s and this node is %s: %w", subject, id.subject, ErrWrongPeer)
	}
	id.goOnWith(made)
	return nil
}

// goOnWith uses what was made, and closes the connections that no root vouches for
// any more.
func (id *Identity) goOnWith(made *proof) {
	before := id.current.Swap(made)
	changed := make(chan struct{})
	close(*id.changed.Swap(&changed))
	if !made.trustsAll(before.roots) {
		id.guards.closeIf(func(g *guarded) bool { return !made.vouches(g.way) })
	}
}

// trustsAll reports whether all of these roots are trusted.
func (p *proof) trustsAll(roots []*x509.Certificate) bool {
	return !slices.ContainsFunc(roots, func(root *x509.Certificate) bool { return !slices.ContainsFunc(p.roots, root.Equal) })
}

// Changed returns a channel that is closed at the next Replace.
func (id *Identity) Changed() <-chan struct{} { return *id.changed.Load() }
