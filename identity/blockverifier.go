package identity

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"sync"

	voi "github.com/oasisprotocol/curve25519-voi/primitives/ed25519"

	"grapevine/fleet"
)

// ErrNotTheirs is wrapped by every error about a block that its host did not
// sign.
var ErrNotTheirs = errors.New("not signed by this host")

// BlockVerifier judges the signatures of hosts' blocks, by what its identity
// trusts at the moment. That a certificate has ended or was revoked says nothing
// about what its host said before, and what it says after reaches nobody: nodes
// without a valid one are not talked to, and their rows stay. It may be used from several goroutines.
type BlockVerifier struct {
	of *Identity

	mu    sync.RWMutex
	by    *proof                    // guarded by mu; whose roots it is
	known map[fleet.HostID]knownKey // guarded by mu, judged by that
}

// knownKey is the key of a host by a credential that was judged before.
type knownKey struct {
	name [16]byte // of the credential
	key  [ed25519.PublicKeySize]byte
}

// BlockVerifier returns what judges the blocks of the fleet that this identity
// is of, by what it trusts.
func (id *Identity) BlockVerifier() *BlockVerifier {
	return &BlockVerifier{of: id, by: id.current.Load(), known: map[fleet.HostID]knownKey{}}
}

// Verify returns nil if signature is over this head, by the key in a credential
// whose certificate is of this fleet, for an agent, and of this host. Name is the
// credential's hash: what was judged once is not judged again.
func (v *BlockVerifier) Verify(host fleet.HostID, name [16]byte, credential, head, signature []byte) error {
	key, err := v.keyOf(host, name, credential)
	if err != nil {
		return fmt.Errorf("credential in the block of host %s: %w", host, err)
	}
	var space [256]byte
	if !verifyEd25519(key[:], headOf(space[:0], v.of.subject.Fleet, head), signature) {
		return fmt.Errorf("signature of the block of host %s: %w", host, ErrNotTheirs)
	}
	return nil
}

// verifyEd25519 is crypto/ed25519's, in half the time: the same signatures are
// good to both.
func verifyEd25519(key, content, signature []byte) bool {
	return voi.VerifyWithOptions(key, content, signature, &voi.Options{Verify: voi.VerifyOptionsStdLib})
}

func (v *BlockVerifier) keyOf(host fleet.HostID, name [16]byte, credential []byte) ([ed25519.PublicKeySize]byte, error) {
	by := v.of.current.Load()
	v.mu.RLock()
	known, found := v.known[host]
	current := v.by == by
	v.mu.RUnlock()
	if !current {
		found = v.judgeBy(by) && found
	}
	if found && known.name == name {
		return known.key, nil
	}
	key, err := v.of.blockKey(host, credential)
	if err != nil {
		return key, err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.by == by {
		v.known[host] = knownKey{name, key} // of hosts with a certificate: bounded by these
	}
	return key, nil
}

// judgeBy goes on with what is trusted now, and reports whether what is known
// stays so.
func (v *BlockVerifier) judgeBy(by *proof) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	// What a root vouches for stays so while it is trusted, whatever comes beside it.
	stays := by.trustsAll(v.by.roots)
	if !stays {
		clear(v.known)
	}
	v.by = by
	return stays
}

// blockKey returns the key for which a host's certificate vouches.
func (id *Identity) blockKey(host fleet.HostID, credential []byte) (key [ed25519.PublicKeySize]byte, err error) {
	if len(credential) > maxCredential {
		return key, fmt.Errorf("it takes %d bytes, at most %d are read: %w", len(credential), maxCredential, ErrNotTheirs)
	}
	var c blockCredential
	if rest, err := asn1.Unmarshal(credential, &c); err != nil || len(rest) > 0 || len(c.Key) != len(key) {
		return key, fmt.Errorf("it cannot be read: %w", ErrNotTheirs)
	}
	leaf, subject, err := id.VerifyEver(c.Chain)
	if err != nil {
		return key, fmt.Errorf("%w: %w", ErrNotTheirs, err)
	}
	if subject.Role != Agent || subject.ID != host {
		return key, fmt.Errorf("its certificate is of %s: %w", subject, ErrNotTheirs)
	}
	if err := leaf.CheckSignature(algorithmOf(leaf), vouched(subject.Fleet, host, c.Key), c.Proof); err != nil {
		return key, fmt.Errorf("its certificate does not vouch for its key: %w", ErrNotTheirs)
	}
	return [ed25519.PublicKeySize]byte(c.Key), nil
}

// algorithmOf returns how a certificate vouches for a key: see signSame.
func algorithmOf(leaf *x509.Certificate) x509.SignatureAlgorithm {
	switch leaf.PublicKey.(type) {
	case ed25519.PublicKey:
		return x509.PureEd25519
	case *ecdsa.PublicKey:
		return x509.ECDSAWithSHA256
	default:
		return x509.SHA256WithRSA
	}
}
