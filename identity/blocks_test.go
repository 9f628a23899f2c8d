package identity_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/asn1"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"grapevine/fleet"
	"grapevine/identity"
)

// blocks is a fleet's CA, and what its agents say.
type blocks struct {
	t  *testing.T
	ca *identity.CA
}

func newBlocks(t *testing.T) blocks {
	t.Helper()
	ca, err := identity.NewCA("vine", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return blocks{t, ca}
}

func (b blocks) issue(role identity.Role, id fleet.UUID) *identity.Identity {
	b.t.Helper()
	pair, err := b.ca.Issue(identity.Subject{Role: role, ID: id, Name: "n"}, time.Hour, time.Now())
	if err != nil {
		b.t.Fatal(err)
	}
	own, err := identity.New(b.ca.CertPEM(), pair, time.Now())
	if err != nil {
		b.t.Fatal(err)
	}
	return own
}

func seal(t *testing.T, id *identity.Identity, head []byte) (credential, signature []byte) {
	t.Helper()
	signer, err := id.BlockSigner()
	if err != nil {
		t.Fatal(err)
	}
	credential, sign := signer.Current()
	return credential, sign(head)
}

var blockHost = fleet.UUID{1}

func TestBlockIsProvenByItsHostAlone(t *testing.T) {
	b, head := newBlocks(t), []byte("head")
	credential, signature := seal(t, b.issue(identity.Agent, blockHost), head)
	other, otherSignature := seal(t, b.issue(identity.Agent, fleet.UUID{2}), head)
	foreign, foreignSignature := seal(t, newBlocks(t).issue(identity.Agent, blockHost), head)
	registry, registrySignature := seal(t, b.issue(identity.Registry, blockHost), head)
	flipped := slices.Clone(signature)
	flipped[10] ^= 1
	swapped := splice(t, credential, other)

	for name, c := range map[string]struct {
		host                        fleet.UUID
		credential, head, signature []byte
		good                        bool
	}{
		"its own":                           {blockHost, credential, head, signature, true},
		"another head":                      {blockHost, credential, []byte("hood"), signature, false},
		"a bit flipped":                     {blockHost, credential, head, flipped, false},
		"no signature":                      {blockHost, credential, head, nil, false},
		"another host's certificate":        {blockHost, other, head, otherSignature, false},
		"certificate and key of two hosts":  {blockHost, swapped, head, otherSignature, false},
		"signature of another":              {blockHost, credential, head, otherSignature, false},
		"a CA of the same name":             {blockHost, foreign, head, foreignSignature, false},
		"a registry":                        {blockHost, registry, head, registrySignature, false},
		"no credential":                     {blockHost, nil, head, signature, false},
		"garbage":                           {blockHost, []byte("garbage"), head, signature, false},
		"something behind it":               {blockHost, append(slices.Clone(credential), 0), head, signature, false},
		"more than a credential ever takes": {blockHost, bytes.Repeat([]byte{0x30}, 9<<10), head, signature, false},
	} {
		t.Run(name, func(t *testing.T) {
			v := b.issue(identity.Registry, fleet.UUID{9}).BlockVerifier()
			for try := range 2 { // the second time from memory
				err := v.Verify(c.host, [16]byte{1}, c.credential, c.head, c.signature)
				if (err == nil) != c.good || err != nil && !errors.Is(err, identity.ErrNotTheirs) {
					t.Errorf("try %d: %v", try, err)
				}
			}
		})
	}
}

// splice puts the key and its proof of one credential beside the certificate of
// another.
func splice(t *testing.T, chain, key []byte) []byte {
	t.Helper()
	var a, b struct {
		Chain      [][]byte
		Key, Proof []byte
	}
	for der, c := range map[*[]byte]any{&chain: &a, &key: &b} {
		if _, err := asn1.Unmarshal(*der, c); err != nil {
			t.Fatal(err)
		}
	}
	b.Chain = a.Chain
	out, err := asn1.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// A credential that was good under one name does not make another good.
func TestAnotherCredentialIsJudgedAnew(t *testing.T) {
	b, head := newBlocks(t), []byte("head")
	v := b.issue(identity.Registry, fleet.UUID{9}).BlockVerifier()
	credential, signature := seal(t, b.issue(identity.Agent, blockHost), head)
	if err := v.Verify(blockHost, [16]byte{1}, credential, head, signature); err != nil {
		t.Fatal(err)
	}
	renewed, renewedSignature := seal(t, b.issue(identity.Agent, blockHost), head)
	if err := v.Verify(blockHost, [16]byte{1}, renewed, head, renewedSignature); err == nil {
		t.Error("a key was taken that no credential was looked at for")
	}
	if err := v.Verify(blockHost, [16]byte{2}, renewed, head, renewedSignature); err != nil {
		t.Errorf("a renewed certificate: %v", err)
	}
	if err := v.Verify(blockHost, [16]byte{3}, []byte("garbage"), head, signature); err == nil {
		t.Error("garbage was taken because something else was good before")
	}
}

func TestRowsOfAHostWhoseCertificateHasEndedStay(t *testing.T) {
	b, head := newBlocks(t), []byte("head")
	past := time.Now().Add(-30 * 24 * time.Hour)
	old, err := identity.NewCA("vine", past)
	if err != nil {
		t.Fatal(err)
	}
	b.ca = old
	pair, err := old.Issue(identity.Subject{Role: identity.Agent, ID: blockHost, Name: "n"}, time.Hour, past)
	if err != nil {
		t.Fatal(err)
	}
	ended, err := identity.New(old.CertPEM(), pair, past)
	if err != nil {
		t.Fatal(err)
	}
	credential, signature := seal(t, ended, head)
	if err := b.issue(identity.Registry, fleet.UUID{9}).BlockVerifier().Verify(blockHost, [16]byte{}, credential, head, signature); err != nil {
		t.Error(err)
	}
}

// What a host said before it was revoked cannot be told from what it says after,
// which nobody takes from it: its rows stay, also at a node that begins anew.
func TestBlocksOfARevokedHostStay(t *testing.T) {
	b, head := newBlocks(t), []byte("head")
	own := b.issue(identity.Registry, fleet.UUID{9})
	v := own.BlockVerifier()
	credential, signature := seal(t, b.issue(identity.Agent, blockHost), head)
	for range 2 {
		if err := v.Verify(blockHost, [16]byte{1}, credential, head, signature); err != nil {
			t.Fatal(err)
		}
	}
	own.Revoke(map[fleet.UUID]time.Time{blockHost: time.Now().Add(time.Hour)})
	for _, v := range []*identity.BlockVerifier{v, own.BlockVerifier()} {
		if err := v.Verify(blockHost, [16]byte{1}, credential, head, signature); err != nil {
			t.Errorf("a revoked certificate: %v", err)
		}
	}
	if !own.Barred(blockHost) {
		t.Error("a block of before lets a revoked host in")
	}
	own.Revoke(map[fleet.UUID]time.Time{blockHost: time.Now().Add(-time.Hour)})
	if own.Barred(blockHost) {
		t.Error("who was enrolled since and has shown it is not let in")
	}
}

func TestHostsOfAnIntermediateProveTheirBlocks(t *testing.T) {
	b, head := newBlocks(t), []byte("head")
	between, err := b.ca.NewIntermediate("i", time.Hour*2, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	pair, err := between.Issue(identity.Subject{Role: identity.Agent, ID: blockHost, Name: "n"}, time.Hour, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	own, err := identity.New(b.ca.CertPEM(), pair, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	credential, signature := seal(t, own, head)
	if err := b.issue(identity.Registry, fleet.UUID{9}).BlockVerifier().Verify(blockHost, [16]byte{1}, credential, head, signature); err != nil {
		t.Error(err)
	}
}

func TestSignerGoesOnWithARenewedCertificate(t *testing.T) {
	b, head := newBlocks(t), []byte("head")
	own := b.issue(identity.Agent, blockHost)
	signer, err := own.BlockSigner()
	if err != nil {
		t.Fatal(err)
	}
	before, _ := signer.Current()
	pair, err := b.ca.Issue(identity.Subject{Role: identity.Agent, ID: blockHost, Name: "n"}, time.Hour, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if err := own.Replace(b.ca.CertPEM(), pair, time.Now()); err != nil {
		t.Fatal(err)
	}
	after, sign := signer.Current()
	if bytes.Equal(before, after) {
		t.Error("the old certificate stands in blocks")
	}
	if err := own.BlockVerifier().Verify(blockHost, [16]byte{1}, after, head, sign(head)); err != nil {
		t.Error(err)
	}
}

// After a restart a host's credential is what it was: its rows need not travel
// again.
func TestCredentialFollowsFromTheCertificate(t *testing.T) {
	own := newBlocks(t).issue(identity.Agent, blockHost)
	one, signature := seal(t, own, []byte("head"))
	two, again := seal(t, own, []byte("head"))
	if !bytes.Equal(one, two) || !bytes.Equal(signature, again) {
		t.Error("two starts with one certificate differ")
	}
}

func TestFastVerificationAgreesWithTheStandardLibrary(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	seed := make([]byte, ed25519.SeedSize)
	for range 300 {
		for i := range seed {
			seed[i] = byte(rng.Uint32())
		}
		key := ed25519.NewKeyFromSeed(seed)
		public, content := slices.Clone([]byte(key.Public().(ed25519.PublicKey))), []byte("content")
		signature := ed25519.Sign(key, content)
		agree(t, public, content, signature)
		signature[rng.IntN(len(signature))] ^= byte(rng.Uint32())
		agree(t, public, content, signature)
		public[rng.IntN(len(public))] ^= byte(rng.Uint32())
		agree(t, public, content, signature)
	}
}

func agree(t *testing.T, public, content, signature []byte) {
	t.Helper()
	if len(public) != ed25519.PublicKeySize {
		return
	}
	want, got := ed25519.Verify(public, content, signature), identity.VerifyEd25519(public, content, signature)
	if want != got {
		t.Errorf("key %x, content %x, signature %x: %v, the standard library says %v", public, content, signature, got, want)
	}
}

// smallOrder are encodings of points by which verifications have been found to
// differ: of small order, and such that are not reduced.
var smallOrder = [][]byte{
	append(make([]byte, 31), 0),
	append([]byte{1}, make([]byte, 31)...),
	append(append([]byte{1}, make([]byte, 30)...), 0x80),
	append(append([]byte{0xec}, bytes.Repeat([]byte{0xff}, 30)...), 0x7f),
	append(append([]byte{0xed}, bytes.Repeat([]byte{0xff}, 30)...), 0x7f),
	append(append([]byte{0xee}, bytes.Repeat([]byte{0xff}, 30)...), 0x7f),
	append(append([]byte{0xee}, bytes.Repeat([]byte{0xff}, 30)...), 0xff),
	{0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05},
	{0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a},
}

func TestFastVerificationAgreesAtTheEdges(t *testing.T) {
	for _, public := range smallOrder {
		for _, r := range smallOrder {
			for _, s := range [][]byte{make([]byte, 32), append([]byte{1}, make([]byte, 31)...), bytes.Repeat([]byte{0xff}, 32)} {
				for content := range 16 {
					agree(t, public, []byte{byte(content)}, append(slices.Clone(r), s...))
				}
			}
		}
	}
}

func FuzzFastVerification(f *testing.F) {
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	f.Add([]byte(key.Public().(ed25519.PublicKey)), []byte("content"), ed25519.Sign(key, []byte("content")))
	for _, point := range smallOrder {
		f.Add(point, []byte{}, append(slices.Clone(point), make([]byte, 32)...))
	}
	f.Fuzz(func(t *testing.T, public, content, signature []byte) { agree(t, public, content, signature) })
}

func FuzzBlockCredential(f *testing.F) {
	ca, err := identity.NewCA("vine", time.Now())
	if err != nil {
		f.Fatal(err)
	}
	pair, err := ca.Issue(identity.Subject{Role: identity.Agent, ID: blockHost, Name: "n"}, time.Hour, time.Now())
	if err != nil {
		f.Fatal(err)
	}
	own, err := identity.New(ca.CertPEM(), pair, time.Now())
	if err != nil {
		f.Fatal(err)
	}
	signer, err := own.BlockSigner()
	if err != nil {
		f.Fatal(err)
	}
	credential, sign := signer.Current()
	signature := sign([]byte("head"))
	f.Add(credential, signature)
	f.Fuzz(func(t *testing.T, given, by []byte) {
		err := own.BlockVerifier().Verify(blockHost, [16]byte{}, given, []byte("head"), by)
		if err == nil && !bytes.Equal(by, signature) {
			t.Error("a signature was taken that nobody made")
		}
	})
}

func BenchmarkBlockVerifier(b *testing.B) {
	f := blocks{t: &testing.T{}, ca: nil}
	var err error
	if f.ca, err = identity.NewCA("vine", time.Now()); err != nil {
		b.Fatal(err)
	}
	signer, err := f.issue(identity.Agent, blockHost).BlockSigner()
	if err != nil {
		b.Fatal(err)
	}
	credential, sign := signer.Current()
	head := make([]byte, 87)
	signature := sign(head)
	v := f.issue(identity.Registry, fleet.UUID{9}).BlockVerifier()
	for b.Loop() {
		if err := v.Verify(blockHost, [16]byte{}, credential, head, signature); err != nil {
			b.Fatal(err)
		}
	}
}
