package people

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
)

// keyPrefix lets people, and programs that look for secrets in what is published,
// see what they have before them.
const keyPrefix = "gvk-"

// maxKeyBytes bounds what is taken for a key.
const maxKeyBytes = 128

// NewAPIKey draws a key of 256 bits, and returns it with the hash that goes into
// the file. Nobody keeps the key but its user.
func NewAPIKey() (key, hash string) {
	var secret [32]byte
	_, _ = rand.Read(secret[:]) // crypto/rand never fails: it ends the program instead
	key = keyPrefix + base64.RawURLEncoding.EncodeToString(secret[:])
	sum := sha256.Sum256([]byte(key))
	return key, hex.EncodeToString(sum[:])
}
