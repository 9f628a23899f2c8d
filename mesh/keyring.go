package mesh

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/hashicorp/memberlist"

	"grapevine/fleet"
	"grapevine/internal/pause"
)

const (
	// keyringFile is where Serf itself writes the keys at each change, before
	// the member answers that it has made it.
	keyringFile = "gossip-keyring.json"
	// safeFile is this package's copy, written whole or not at all: Serf's may
	// be cut short by a crash in the middle.
	safeFile = "gossip-keyring.safe.json"
	// safeEvery is how often the copy is compared with the keys in use.
	safeEvery = 2 * time.Second
)

// safeKeys is the copy.
type safeKeys struct {
	// Began is the fingerprint of the configured keys with which the keyring
	// began. A keyring that began with others is not used: whoever changes the
	// configured keys starts anew with these.
	Began string   `json:"began"`
	Keys  []string `json:"keys"` // base64, the one in use first
}

// loadKeyring returns the keys that this member goes on with: those it held at
// its end, which outrank the configured ones while these are the same, or the
// configured ones. It returns nil where none is configured.
func loadKeyring(cfg *Config) (*memberlist.Keyring, error) {
	if len(cfg.Key) == 0 {
		return nil, nil //nolint:nilnil // gossip in the clear has no keyring
	}
	keys := append([][]byte{cfg.Key}, cfg.FurtherKeys...)
	if cfg.KeyringDir != "" {
		held, err := heldKeys(cfg)
		if err != nil {
			return nil, err
		}
		if len(held) > 0 {
			keys = held
		}
	}
	ring, err := memberlist.NewKeyring(keys[1:], keys[0])
	if err != nil {
		return nil, fmt.Errorf("gossip key: %w", err)
	}
	if cfg.KeyringDir == "" {
		return ring, nil
	}
	return ring, saveKeyring(cfg, ring.GetKeys())
}

// heldKeys returns the keys of an earlier run, none where there was none or it
// began with another configured key.
func heldKeys(cfg *Config) ([][]byte, error) {
	var safe safeKeys
	if err := readJSON(filepath.Join(cfg.KeyringDir, safeFile), &safe); err != nil {
		return nil, err
	}
	if safe.Began != configuredKeys(cfg) {
		return nil, nil
	}
	var written []string
	if err := readJSON(filepath.Join(cfg.KeyringDir, keyringFile), &written); err == nil {
		if keys, err := decodeKeys(written); err == nil && len(keys) > 0 {
			return keys, nil
		}
	}
	keys, err := decodeKeys(safe.Keys)
	if err != nil {
		return nil, fmt.Errorf("gossip keys in %s: %w; remove the file to begin with gossip_key_file again", filepath.Join(cfg.KeyringDir, safeFile), err)
	}
	return keys, nil
}

// configuredKeys is the fingerprint of all configured keys.
func configuredKeys(cfg *Config) string {
	return fleet.GossipKeyFingerprint(bytes.Join(append([][]byte{cfg.Key}, cfg.FurtherKeys...), []byte{'\n'}))
}

// readJSON leaves out as it is where there is no file.
func readJSON(path string, out any) error {
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read gossip keys: %w", err)
	}
	if err := json.Unmarshal(content, out); err != nil {
		return fmt.Errorf("read gossip keys: %s is damaged; remove it to begin with gossip_key_file again: %w", path, err)
	}
	return nil
}

func decodeKeys(texts []string) ([][]byte, error) {
	keys := make([][]byte, len(texts))
	for i, text := range texts {
		key, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return nil, fmt.Errorf("decode key %d: %w", i+1, err)
		}
		if err := memberlist.ValidateKey(key); err != nil {
			return nil, fmt.Errorf("key %d: %w", i+1, err)
		}
		keys[i] = key
	}
	return keys, nil
}

// saveKeyring writes both files anew.
func saveKeyring(cfg *Config, keys [][]byte) error {
	texts := make([]string, len(keys))
	for i, key := range keys {
		texts[i] = base64.StdEncoding.EncodeToString(key)
	}
	safe := safeKeys{Began: configuredKeys(cfg), Keys: texts}
	return errors.Join(
		writeJSON(filepath.Join(cfg.KeyringDir, safeFile), safe),
		writeJSON(filepath.Join(cfg.KeyringDir, keyringFile), texts))
}

// writeJSON replaces a file whole, for its owner alone, and returns when it
// will survive a crash.
func writeJSON(path string, content any) error {
	text, err := json.MarshalIndent(content, "", "  ")
	if err != nil {
		return fmt.Errorf("encode gossip keys: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".gossip-keyring-*") // mode 0600
	if err != nil {
		return fmt.Errorf("write gossip keys: %w", err)
	}
	_, err = f.Write(append(text, '\n'))
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("write gossip keys: %w", errors.Join(err, os.Remove(f.Name())))
	}
	return syncFolder(filepath.Dir(path))
}

func syncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("write gossip keys: %w", err)
	}
	return errors.Join(d.Sync(), d.Close())
}

// keepKeyring keeps the safe copy like the keys in use, and says when these
// change, until ctx ends.
func (s *serfMembers) keepKeyring(ctx context.Context) {
	last := slices.Clone(s.ring.GetKeys())
	for pause.For(ctx, safeEvery) {
		keys := slices.Clone(s.ring.GetKeys())
		if slices.EqualFunc(keys, last, bytes.Equal) {
			continue
		}
		if s.cfg.KeyringDir != "" {
			if err := saveKeyring(&s.cfg, keys); err != nil {
				s.logs.limited("gossip keys not saved; they will be lost with this process", "error", err)
				continue
			}
		}
		last = keys
		s.sayChanged(keys)
	}
}

func (s *serfMembers) sayChanged(keys [][]byte) {
	args := []any{"in_use", fleet.GossipKeyFingerprint(keys[0]), "held", len(keys)}
	if s.cfg.KeyringDir == "" {
		s.cfg.Log.Warn("gossip keys changed, and this node keeps nothing: put the same keys into its gossip_key_file before it is restarted, the one in use first", args...)
		return
	}
	s.cfg.Log.Info("gossip keys changed", args...)
}
