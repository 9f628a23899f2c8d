// Package built gives tests the program as it ships: built once, run as
// commands and as daemons.
package built

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Main runs the tests of a package that needs the program, and ends the test
// process; path then says where the program is. Call it from TestMain.
func Main(m *testing.M, path *string) {
	code, err := main(m, path)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func main(m *testing.M, path *string) (int, error) {
	dir, err := os.MkdirTemp("", "grapevine-built-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	if *path, err = Binary(dir); err != nil {
		return 0, err
	}
	return m.Run(), nil
}

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
