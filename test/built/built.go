// Package built gives tests the program as it ships.
package built

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Binary returns the path of the built program: what GRAPEVINE_BINARY names,
// or one that is built into dir.
func Binary(dir string) (string, error) {
	if path := os.Getenv("GRAPEVINE_BINARY"); path != "" {
		if _, err := os.Stat(path); err != nil {
			return "", fmt.Errorf("GRAPEVINE_BINARY: %w; run make build", err)
		}
		return filepath.Abs(path)
	}
	path := filepath.Join(dir, "grapevine")
	build := exec.Command("go", "build", "-trimpath", "-tags", "nomsgpack", "-o", path, "grapevine/cmd/grapevine") //nolint:noctx // go test's own time-out ends it
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the program: %w\n%s", err, out)
	}
	return path, nil
}
