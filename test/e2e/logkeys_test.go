package e2e

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Filters of logs rely on the keys that are documented: whoever renames one
// finds out here.
func TestDocumentedLogKeysAreLogged(t *testing.T) {
	page, err := os.ReadFile("../../docs/monitoring/README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, ok := strings.Cut(string(page), "<!-- keys -->")
	table, _, ok2 := strings.Cut(table, "<!-- end -->")
	keys := regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\|").FindAllStringSubmatch(table, -1)
	if !ok || !ok2 || len(keys) < 20 {
		t.Fatalf("got %d keys in the list", len(keys))
	}
	logged := keysLogged(t)
	for _, key := range keys {
		if !logged[key[1]] {
			t.Errorf("no daemon logs the key %s, which docs/monitoring/README.md lists", key[1])
		}
	}
}

// keysLogged are the literal keys in the calls of loggers in the source tree.
func keysLogged(t *testing.T) map[string]bool {
	t.Helper()
	call := regexp.MustCompile(`\.(?:Debug|Info|Warn|Error|With|AddAttrs)(?:Context)?\(.*`)
	key := regexp.MustCompile(`[(,] ?"([a-z_]+)",`)
	logged := map[string]bool{}
	for _, dir := range []string{"agent", "api", "cli", "drivers", "identity", "internal/tracing", "mesh", "registry", "view"} {
		err := filepath.WalkDir(filepath.Join("../..", dir), func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			for _, said := range call.FindAllString(string(text), -1) {
				for _, found := range key.FindAllStringSubmatch(said, -1) {
					logged[found[1]] = true
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return logged
}
