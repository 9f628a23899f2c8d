package built

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// Daemon is a process that runs beside a test.
type Daemon struct {
	Cmd *exec.Cmd
	// Ended is closed when the process has ended.
	Ended <-chan struct{}
}

// Start starts a daemon that appends what it says to a file. It ends with the
// test at the latest; of a test that failed the log then shows the file's end.
func Start(tb testing.TB, cmd *exec.Cmd, name, log string) *Daemon {
	tb.Helper()
	file, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		tb.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = file, file
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		_ = file.Close()
		close(ended)
	}()
	tb.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
		if tb.Failed() {
			tb.Logf("the log of %s ends with:\n%s", name, Tail(log))
		}
	})
	return &Daemon{Cmd: cmd, Ended: ended}
}

// Tail returns the end of a daemon's log, without what Serf says.
func Tail(log string) string {
	data, err := os.ReadFile(log)
	if err != nil {
		return err.Error()
	}
	var telling []string
	for line := range strings.Lines(string(data)) {
		if !strings.Contains(line, "msg=gossip") {
			telling = append(telling, line)
		}
	}
	return strings.Join(telling[max(0, len(telling)-25):], "")
}
