package identity

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"strings"
)

// GossipKeyBytes is the length of a gossip key: AES-256.
const GossipKeyBytes = 32

// NewGossipKey draws a gossip key. All nodes of a fleet share one.
func NewGossipKey() []byte {
	key := make([]byte, GossipKeyBytes)
	_, _ = rand.Read(key) // crypto/rand never fails: it ends the program instead
	return key
}

// WriteGossipKey writes the key in base64 to a new file that its owner alone
// may read. It never replaces a file.
func WriteGossipKey(path string, key []byte) error {
	if len(key) != GossipKeyBytes {
		return fmt.Errorf("gossip key is %d bytes long; it must be %d", len(key), GossipKeyBytes)
	}
	return WriteNew(path, []byte(base64.StdEncoding.EncodeToString(key)+"\n"), 0o600)
}

// LoadGossipKey reads the key that gossip is encrypted with.
func LoadGossipKey(path string) ([]byte, error) {
	keys, err := LoadGossipKeys(path)
	if err != nil {
		return nil, err
	}
	return keys[0], nil
}

// LoadGossipKeys reads a file that WriteGossipKey wrote, and to which further
// keys may have been added, one a line. The first is the one to encrypt with.
func LoadGossipKeys(path string) ([][]byte, error) {
	content, err := readKeyFile("gossip key", path)
	if err != nil {
		return nil, err
	}
	var keys [][]byte
	for line := range bytes.Lines(bytes.TrimSpace(content)) {
		key, err := base64.StdEncoding.DecodeString(string(bytes.TrimSpace(line)))
		if err != nil || len(key) != GossipKeyBytes {
			return nil, noGossipKey(path)
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, noGossipKey(path)
	}
	return keys, nil
}

func noGossipKey(path string) error {
	return fmt.Errorf("gossip key file %s does not hold %d bytes in base64; copy the file of another node, or make one with grapevine tls", path, GossipKeyBytes)
}

// LoadSecret reads a secret of one line from a file that not every user of the
// machine may read. Key is what the operator named the file with.
func LoadSecret(key, path string) (string, error) {
	content, err := readKeyFile(key, path)
	if err != nil {
		return "", err
	}
	secret := string(bytes.TrimSpace(content))
	if secret == "" || strings.ContainsAny(secret, "\r\n") {
		return "", fmt.Errorf("%s file %s must hold one line, the secret; make one with: openssl rand -hex 32", key, path)
	}
	return secret, nil
}
