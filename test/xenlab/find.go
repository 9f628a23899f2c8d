package xenlab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// find returns the folder of the saved host, or leaves the test out: a test on
// an emulated host takes minutes, and is run where it is asked for.
func find(tb testing.TB) string {
	tb.Helper()
	if os.Getenv("GRAPEVINE_XEN_LAB") != "required" {
		tb.Skip("left out: the emulated Xen host is slow; make xen-conformance builds it and runs this")
	}
	dir, err := folder(tb.Context())
	if err != nil {
		tb.Fatalf("GRAPEVINE_XEN_LAB=required: %v", err)
	}
	return dir
}

// folder asks the script that builds the host where it is: the script alone
// knows what its name is made of.
func folder(ctx context.Context) (string, error) {
	top, err := top()
	if err != nil {
		return "", err
	}
	var out, problems strings.Builder
	cmd := exec.CommandContext(ctx, filepath.Join(top, "scripts", "xen-lab"), "path")
	cmd.Stdout, cmd.Stderr = &out, &problems
	err = cmd.Run()
	if why := strings.TrimSpace(problems.String()); err != nil && why != "" {
		return "", errors.New(strings.TrimPrefix(why, "xen-lab: "))
	}
	if err != nil {
		return "", fmt.Errorf("find the Xen host: %w", err)
	}
	return strings.TrimSpace(out.String()), nil
}

// top returns the folder of the source tree, above the test's working folder.
func top() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("find the source tree: no go.mod above the working folder")
		}
		dir = filepath.Dir(dir)
	}
}
