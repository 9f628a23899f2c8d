package enrol

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strings"
	"time"

	"grapevine/fleet"
)

// prefix says what a text is, and of which form.
const prefix = "gvj1."

const (
	idBytes     = 8
	secretBytes = 32
)

// Token is a join token as it is handed to people.
type Token struct {
	Root   [sha256.Size]byte // hash of the root that vouches for the node
	ID     string            // 16 hexadecimal digits
	secret [secretBytes]byte
}

// Secret is what the node wants to see.
func (t *Token) Secret() string { return base64.RawURLEncoding.EncodeToString(t.secret[:]) }

// Text is the token in one word.
func (t *Token) Text() string {
	id, _ := hex.DecodeString(t.ID) // it was made from bytes
	raw := append(append(append([]byte{}, t.Root[:]...), id...), t.secret[:]...)
	return prefix + base64.RawURLEncoding.EncodeToString(raw)
}

var errNoToken = errors.New("the join token is not whole; copy all of what grapevine token create printed, from " + prefix + " on")

// ParseToken reads a token that a person was given.
func ParseToken(text string) (Token, error) {
	text = strings.TrimSpace(text)
	rest, ok := strings.CutPrefix(text, prefix)
	raw, err := base64.RawURLEncoding.DecodeString(rest)
	if !ok || err != nil || len(raw) != sha256.Size+idBytes+secretBytes {
		return Token{}, errNoToken
	}
	var t Token
	copy(t.Root[:], raw)
	t.ID = hex.EncodeToString(raw[sha256.Size:][:idBytes])
	copy(t.secret[:], raw[sha256.Size+idBytes:])
	if t.Text() != text { // base64 passes over ends of lines
		return Token{}, errNoToken
	}
	return t, nil
}

func newToken(root [sha256.Size]byte) Token {
	t := Token{Root: root}
	var id [idBytes]byte
	_, _ = rand.Read(id[:]) // crypto/rand never fails: it ends the program instead
	_, _ = rand.Read(t.secret[:])
	t.ID = hex.EncodeToString(id[:])
	return t
}

// Held is what the node that made a token keeps of it.
type Held struct {
	fleet.JoinTokenRow
	Hash []byte `json:"hash"` // SHA-256 of the secret
}

func hashOf(secret []byte) []byte {
	sum := sha256.Sum256(secret)
	return sum[:]
}

// opens reports whether the secret, as it was sent, is the token's, in a time
// that does not tell how much of it is right.
func (h *Held) opens(secret string, now time.Time) bool {
	raw, err := base64.RawURLEncoding.DecodeString(secret)
	same := subtle.ConstantTimeCompare(hashOf(raw), h.Hash) == 1
	return err == nil && same && now.Before(h.ExpiresAt)
}
