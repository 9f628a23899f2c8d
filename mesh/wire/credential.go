package wire

import "encoding/binary"

// KindCredential is the row in which a host shows by what its heads' signatures
// are verified: a certificate of its fleet and a key that this vouches for. To
// the mesh it is opaque. Key: no bytes; a block has one at most.
const KindCredential Kind = 6

// CredentialKey returns the key of a block's credential.
func CredentialKey() Key { return Key{Kind: KindCredential} }

// MaxSignature bounds the bytes of a head's signature. Those of this version
// have 64; the room is for another algorithm.
const MaxSignature = 128

// headSigned begins what is signed of a head, so that no signature is good for
// anything else, nor one of another version of these bytes.
const headSigned = "grapevine block head 1\x00"

// AppendSigned appends what the signature of a head is made over: all its
// fields, in one form alone. The fleet's name is for whoever signs to put before
// it.
func (h *Head) AppendSigned(buf []byte) []byte {
	buf = append(buf, headSigned...)
	buf = append(buf, h.Host[:]...)
	buf = binary.BigEndian.AppendUint64(buf, h.Incarnation)
	buf = binary.BigEndian.AppendUint64(buf, h.Epoch)
	buf = binary.BigEndian.AppendUint64(buf, h.Seq)
	buf = binary.BigEndian.AppendUint64(buf, uint64(h.Count)) // not negative
	return append(buf, h.Hash[:]...)
}

// SignedBytes is how many bytes AppendSigned appends.
const SignedBytes = len(headSigned) + 16 + 4*8 + 16
