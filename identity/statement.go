package identity

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"
)

// A statement is a JSON Web Signature (RFC 7515) in its compact form, by ES256
// and with the signer's certificates in it: whoever has the fleet's root can tell
// who said it, and needs to ask nobody.
const (
	statementType = "grapevine-statement"
	statementAlg  = "ES256"
	// MaxStatementBytes bounds a statement: three certificates of 1 KiB each in
	// base64, and what is said.
	MaxStatementBytes = 8 << 10

	halfBytes = 32 // of a P-256 signature
)

// ErrNoStatement is wrapped by every error about a statement that no node of
// this fleet signed, or that is not one.
var ErrNoStatement = errors.New("not a statement of this fleet")

type statementHeader struct {
	Alg   string   `json:"alg"`
	Type  string   `json:"typ"`
	Chain [][]byte `json:"x5c"`
}

// State returns a statement of this node.
func (id *Identity) State(payload []byte) (string, error) {
	own := id.current.Load().cert
	key, ok := own.PrivateKey.(*ecdsa.PrivateKey)
	if !ok || key.Curve.Params().BitSize != 8*halfBytes {
		return "", fmt.Errorf("sign statement: the node's key is not of the kind P-256; issue a new certificate with grapevine tls")
	}
	header, err := json.Marshal(statementHeader{Alg: statementAlg, Type: statementType, Chain: own.Certificate})
	if err != nil {
		return "", fmt.Errorf("sign statement: %w", err)
	}
	b64 := base64.RawURLEncoding
	signed := b64.EncodeToString(header) + "." + b64.EncodeToString(payload)
	sum := sha256.Sum256([]byte(signed))
	r, s, err := ecdsa.Sign(rand.Reader, key, sum[:])
	if err != nil {
		return "", fmt.Errorf("sign statement: %w", err)
	}
	var halves [2 * halfBytes]byte
	r.FillBytes(halves[:halfBytes])
	s.FillBytes(halves[halfBytes:])
	statement := signed + "." + b64.EncodeToString(halves[:])
	if len(statement) > MaxStatementBytes {
		return "", fmt.Errorf("sign statement: it has %d bytes, and at most %d are read", len(statement), MaxStatementBytes)
	}
	return statement, nil
}

// Stated returns what a statement says, and which node of this fleet signed it,
// whose certificate is good at now (never the zero time). Whether that node may say so is the caller's
// to judge, by its role. Errors wrap ErrNoStatement.
func (id *Identity) Stated(statement string, now time.Time) ([]byte, Subject, error) {
	parts := strings.Split(statement, ".")
	if len(statement) > MaxStatementBytes || len(parts) != 3 {
		return nil, Subject{}, fmt.Errorf("read statement: it is not three parts of at most %d bytes: %w", MaxStatementBytes, ErrNoStatement)
	}
	var raw [3][]byte
	for i, part := range parts {
		var err error
		if raw[i], err = base64.RawURLEncoding.Strict().DecodeString(part); err != nil {
			return nil, Subject{}, fmt.Errorf("read statement: part %d is not base64: %w", i+1, ErrNoStatement)
		}
	}
	var header statementHeader
	if err := json.Unmarshal(raw[0], &header); err != nil || header.Alg != statementAlg || header.Type != statementType {
		return nil, Subject{}, fmt.Errorf("read statement: its header is not one of %s by %s: %w", statementType, statementAlg, ErrNoStatement)
	}
	leaf, subject, err := id.Verify(header.Chain, now)
	if err != nil {
		return nil, Subject{}, fmt.Errorf("its signer's certificate is not good here (%w): %w", err, ErrNoStatement)
	}
	if !signedBy(leaf, parts[0]+"."+parts[1], raw[2]) {
		return nil, Subject{}, fmt.Errorf("the signature is not that of %.80q: %w", leaf.Subject.CommonName, ErrNoStatement)
	}
	return raw[1], subject, nil
}

func signedBy(leaf *x509.Certificate, signed string, signature []byte) bool {
	key, ok := leaf.PublicKey.(*ecdsa.PublicKey)
	if !ok || key.Curve.Params().BitSize != 8*halfBytes || len(signature) != 2*halfBytes {
		return false
	}
	sum := sha256.Sum256([]byte(signed))
	return ecdsa.Verify(key, sum[:], new(big.Int).SetBytes(signature[:halfBytes]), new(big.Int).SetBytes(signature[halfBytes:]))
}
