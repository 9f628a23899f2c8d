package identity

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"fmt"
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

// LoadGossipKey reads a key that WriteGossipKey wrote.
func LoadGossipKey(path string) ([]byte, error) {
	content, err := readKeyFile("gossip key", path)
	if err != nil {
		return nil, err
	}
	key, err := base64.StdEncoding.DecodeString(string(bytes.TrimSpace(content)))
	if err != nil || len(key) != GossipKeyBytes {
		return nil, fmt.Errorf("gossip key file %s does not hold %d bytes in base64; copy the file of another node, or make one with grapevine tls", path, GossipKeyBytes)
	}
	return key, nil
}
