package fleet

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// KeyPair is the public half of an SSH key pair, under a name. The private half
// is made by its owner and never seen here. It never changes.
type KeyPair struct {
	ID        UUID   `json:"id"`
	Name      string `json:"name"`
	Project   string `json:"project"`
	Type      string `json:"type"` // as ssh-ed25519
	PublicKey string `json:"public_key"`
	// Fingerprint is what ssh-keygen -l prints: SHA256: and base64 without padding.
	Fingerprint string    `json:"fingerprint"`
	CreatedAt   time.Time `json:"created_at"` // by its acceptor's wall clock, for people only
	By          string    `json:"by"`
}

// CreateKeyPair asks for a key pair: the body of POST /v1/keypairs.
type CreateKeyPair struct {
	Name      string `json:"name"`
	Project   string `json:"project,omitempty" doc:"default when empty"`
	PublicKey string `json:"public_key" doc:"one line, as in authorized_keys: type, base64, comment"`
	PassedOn
}

// Validate judges what a person sent.
func (c *CreateKeyPair) Validate() error {
	if err := checkObject(c.Name, c.Project); err != nil {
		return err
	}
	_, _, err := readPublicKey(c.PublicKey)
	return err
}

// KeyPairOf reads a key pair off the record that made it, which is valid.
func KeyPairOf(r *Record) KeyPair {
	k := KeyPair{ID: r.Subject, Name: r.Name, Project: r.Project, PublicKey: r.PublicKey, CreatedAt: r.AcceptedAt, By: r.By}
	k.Type, k.Fingerprint, _ = readPublicKey(r.PublicKey)
	return k
}

// readPublicKey judges a public key, and returns its type and fingerprint. What
// it says of itself in base64 must be what stands before it. The error does not
// repeat the key: it may be a private one.
func readPublicKey(line string) (kind, fingerprint string, err error) {
	bad := func(format string, args ...any) (string, string, error) {
		return "", "", &Error{Code: CodeInvalid, Detail: "public_key " + fmt.Sprintf(format, args...)}
	}
	switch {
	case strings.Contains(line, "PRIVATE KEY"):
		return bad("is a private key; give the public one, which ssh-keygen wrote into a file that ends in .pub")
	case len(line) > MaxPublicKeyBytes:
		return bad("is %d bytes long; at most %d are allowed", len(line), MaxPublicKeyBytes)
	case !utf8.ValidString(line), strings.ContainsFunc(line, unicode.IsControl), strings.TrimSpace(line) != line:
		return bad("is not one line of text without blanks at its ends")
	}
	parts := strings.SplitN(line, " ", 3)
	if len(parts) < 2 {
		return bad("is not one line as in authorized_keys, such as: ssh-ed25519 AAAA... name")
	}
	blob, err := base64.StdEncoding.Strict().DecodeString(parts[1])
	if err != nil || len(blob) < 4 {
		return bad("is not one line as in authorized_keys, such as: ssh-ed25519 AAAA... name; its second word is not base64")
	}
	size := binary.BigEndian.Uint32(blob)
	if uint64(size) >= uint64(len(blob)-4) || string(blob[4:4+size]) != parts[0] {
		return bad("says that it is of type %.40q, and its content is of another type, or cut off", parts[0])
	}
	sum := sha256.Sum256(blob)
	return parts[0], "SHA256:" + base64.RawStdEncoding.EncodeToString(sum[:]), nil
}
