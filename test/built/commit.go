package built

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Commit builds the program of an earlier commit and returns where it is. It
// lies in a folder of its own; nothing of the working tree is touched. A commit
// that the repository does not have, as in a shallow clone, fails the test.
func Commit(tb testing.TB, repository, commit string) string {
	tb.Helper()
	dir := tb.TempDir()
	tree, program := filepath.Join(dir, "tree"), filepath.Join(dir, "grapevine")
	if err := os.Mkdir(tree, 0o700); err != nil {
		tb.Fatal(err)
	}
	if exec.CommandContext(tb.Context(), "git", "-C", repository, "cat-file", "-e", commit+"^{commit}").Run() != nil {
		tb.Fatalf("this clone does not have the commit %s, which is to be built; a shallow one gets it by: git fetch --unshallow", commit)
	}
	archive := filepath.Join(dir, "tree.tar")
	for _, step := range []*exec.Cmd{
		exec.CommandContext(tb.Context(), "git", "-C", repository, "archive", "--output", archive, commit),
		exec.CommandContext(tb.Context(), "tar", "-C", tree, "-xf", archive),
		exec.CommandContext(tb.Context(), "go", "-C", tree, "build", "-trimpath", "-tags", "nomsgpack", "-o", program, "./cmd/grapevine"),
	} {
		step.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := step.CombinedOutput(); err != nil {
			tb.Fatalf("%s: %v\n%s", strings.Join(step.Args, " "), err, out)
		}
	}
	return program
}

// Previous is the commit that this tree must live with in one mesh: the first
// line of test/compat/PREVIOUS that is no comment.
func Previous(repository string) (string, error) {
	text, err := os.ReadFile(filepath.Join(repository, "test/compat/PREVIOUS"))
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			return line, nil
		}
	}
	return "", fmt.Errorf("test/compat/PREVIOUS names no commit")
}
