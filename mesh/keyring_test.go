package mesh

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/memberlist"
)

func key(b byte) []byte { return bytes.Repeat([]byte{b}, 32) }

// ringOf loads the keyring of a configuration, and returns the keys as one
// letter each, the one in use first.
func ringOf(t *testing.T, cfg Config) string {
	t.Helper()
	ring, err := loadKeyring(&cfg)
	if err != nil {
		t.Fatal(err)
	}
	return letters(ring)
}

func letters(ring *memberlist.Keyring) string {
	var b strings.Builder
	for _, k := range ring.GetKeys() {
		b.WriteByte(k[0])
	}
	return b.String()
}

func TestHeldKeysOutrankTheFileUntilItChanges(t *testing.T) {
	cfg := Config{Key: key('a'), KeyringDir: t.TempDir()}
	if got := ringOf(t, cfg); got != "a" {
		t.Errorf("at first the keys are %s", got)
	}
	if err := saveKeyring(&cfg, [][]byte{key('b'), key('c')}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if got := ringOf(t, cfg); got != "bc" {
			t.Errorf("after a change and a restart the keys are %s", got)
		}
	}
	more := cfg
	more.FurtherKeys = [][]byte{key('d')}
	if got := ringOf(t, more); got != "ad" {
		t.Errorf("after the file got another key the keys are %s", got)
	}
	if got := ringOf(t, Config{Key: key('a'), FurtherKeys: [][]byte{key('e')}}); got != "ae" {
		t.Errorf("with no folder the keys are %s", got)
	}
}

func TestKeyringCutShortIsTakenFromItsCopy(t *testing.T) {
	cfg := Config{Key: key('a'), KeyringDir: t.TempDir()}
	if err := saveKeyring(&cfg, [][]byte{key('b')}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(cfg.KeyringDir, keyringFile)
	for _, broken := range []string{"", "[\"YW", "[]", "[\"c2hvcnQ=\"]"} {
		if err := os.WriteFile(path, []byte(broken), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := ringOf(t, cfg); got != "b" {
			t.Errorf("of %q come the keys %s", broken, got)
		}
	}
	if err := os.WriteFile(filepath.Join(cfg.KeyringDir, safeFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := loadKeyring(&cfg); err == nil || !strings.Contains(err.Error(), safeFile) || !strings.Contains(err.Error(), "remove it") {
		t.Errorf("of a damaged copy it says %v", err)
	}
}

func TestKeyringIsForItsOwnerAlone(t *testing.T) {
	cfg := Config{Key: key('a'), KeyringDir: t.TempDir()}
	_ = ringOf(t, cfg)
	entries, err := os.ReadDir(cfg.KeyringDir)
	if err != nil || len(entries) != 2 {
		t.Fatalf("the folder holds %v, %v", entries, err)
	}
	for _, e := range entries {
		if info, err := e.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", e.Name(), info.Mode(), err)
		}
	}
}
