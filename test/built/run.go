package built

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"testing"
)

// Run runs a command to its end, with home as its home folder and no other
// variables than PATH and env. A command that cannot be started fails the test.
func Run(tb testing.TB, cmd *exec.Cmd, home string, env ...string) (stdout, stderr string, code int) {
	tb.Helper()
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + home}, env...)
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		tb.Fatal(err)
	}
	return out.String(), problems.String(), cmd.ProcessState.ExitCode()
}
