package identity

import (
	"crypto"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"sync/atomic"

	"grapevine/fleet"
)

// A host signs each head of its blocks, and every node verifies each. A signature
// of a certificate's own key (ECDSA P-256) takes twice as long to verify as one
// of Ed25519; so the certificate vouches, once, for an Ed25519 key that signs the
// heads. Both keys lie in one file and are lost together.

// blockCredential is what stands in a host's block, DER encoded: by it every node
// knows whose the signatures are. Later versions may add to its end.
type blockCredential struct {
	Chain [][]byte // the certificate, then what leads from it to a root
	Key   []byte   // Ed25519
	Proof []byte   // the certificate's signature over vouched
}

// maxCredential bounds a credential: a few certificates.
const maxCredential = 8 << 10

// vouched is what a certificate signs to vouch for a key.
func vouched(fleetName string, host fleet.HostID, key []byte) []byte {
	signed := append([]byte("grapevine block key 1\x00"+fleetName+"\x00"), host[:]...)
	return append(signed, key...)
}

// headOf is what is signed of a head: no fleet takes the heads of another.
func headOf(to []byte, fleetName string, head []byte) []byte {
	return append(append(append(to, fleetName...), 0), head...)
}

// BlockSigner signs the heads of a host's blocks. It may be used from several
// goroutines.
type BlockSigner struct {
	of   *Identity
	made atomic.Pointer[blockSeal]
}

// blockSeal is the credential of one certificate, and the key in it.
type blockSeal struct {
	leaf       *x509.Certificate
	credential []byte
	key        ed25519.PrivateKey
}

// BlockSigner returns what signs this host's blocks.
func (id *Identity) BlockSigner() (*BlockSigner, error) {
	seal, err := id.sealBlocks()
	if err != nil {
		return nil, fmt.Errorf("sign blocks as %s: %w", id.subject, err)
	}
	s := &BlockSigner{of: id}
	s.made.Store(seal)
	return s, nil
}

// Current returns the credential that stands in the blocks, by the certificate
// of this moment, and what signs their heads by it.
func (s *BlockSigner) Current() (credential []byte, sign func(head []byte) []byte) {
	seal := s.made.Load()
	if seal.leaf != s.of.leaf() {
		if next, err := s.of.sealBlocks(); err == nil { // what was made before is as good
			seal = next
			s.made.Store(seal)
		}
	}
	name := s.of.subject.Fleet
	return seal.credential, func(head []byte) []byte { return ed25519.Sign(seal.key, headOf(nil, name, head)) }
}

// sealBlocks makes a block key and has the certificate vouch for it. Both follow
// from the certificate and its key: after a restart a host's credential is what
// it was, and its rows need not travel again.
func (id *Identity) sealBlocks() (*blockSeal, error) {
	own := id.current.Load().cert
	der, err := x509.MarshalPKCS8PrivateKey(own.PrivateKey)
	if err != nil {
		return nil, err
	}
	seed, err := hkdf.Key(sha256.New, der, nil, "grapevine block key 1", ed25519.SeedSize)
	if err != nil {
		return nil, err
	}
	key := ed25519.NewKeyFromSeed(seed)
	public := key.Public().(ed25519.PublicKey)
	proof, err := signSame(own.PrivateKey.(crypto.Signer), vouched(id.subject.Fleet, id.subject.ID, public))
	if err != nil {
		return nil, err
	}
	credential, err := asn1.Marshal(blockCredential{Chain: own.Certificate, Key: public, Proof: proof})
	if err == nil && len(credential) > maxCredential {
		err = fmt.Errorf("the certificate's chain takes %d bytes, at most %d are carried; use fewer intermediate CAs", len(credential), maxCredential)
	}
	return &blockSeal{leaf: own.Leaf, credential: credential, key: key}, err
}

// signSame signs content, the same way each time.
func signSame(key crypto.Signer, content []byte) ([]byte, error) {
	if _, pure := key.Public().(ed25519.PublicKey); pure {
		return key.Sign(nil, content, crypto.Hash(0))
	}
	digest := sha256.Sum256(content)
	return key.Sign(nil, digest[:], crypto.SHA256) // without randomness: as RFC 6979 says
}
