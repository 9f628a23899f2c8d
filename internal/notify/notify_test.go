package notify

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// systemd stands in for the manager: a datagram socket named by NOTIFY_SOCKET.
func systemd(t *testing.T, watchdog time.Duration) func() string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("WATCHDOG_USEC", strconv.FormatInt(watchdog.Microseconds(), 10))
	t.Setenv("WATCHDOG_PID", strconv.Itoa(os.Getpid()))
	return func() string {
		t.Helper()
		buffer := make([]byte, 4096)
		conn.SetReadDeadline(time.Now().Add(20 * time.Second))
		n, err := conn.Read(buffer)
		if err != nil {
			t.Fatal(err)
		}
		return string(buffer[:n])
	}
}

func TestReadyAndStoppingReachSystemd(t *testing.T) {
	receive := systemd(t, 0)
	if err := Ready("serving"); err != nil {
		t.Fatal(err)
	}
	if got := receive(); got != "READY=1\nSTATUS=serving" {
		t.Errorf("got %q", got)
	}
	if err := Stopping(); err != nil {
		t.Fatal(err)
	}
	if got := receive(); got != "STOPPING=1" {
		t.Errorf("got %q", got)
	}
}

func TestWatchdogIsFedWhileHealthyAndStarvedWhileNot(t *testing.T) {
	receive := systemd(t, 20*time.Millisecond)
	ctx, cancel := context.WithCancel(t.Context())
	calls := 0
	done := make(chan error, 1)
	go func() {
		done <- Watch(ctx, func(context.Context) error {
			if calls++; calls > 2 {
				return errors.New("journal does not answer")
			}
			return nil
		})
	}()
	for range 2 {
		if got := receive(); got != "WATCHDOG=1" {
			t.Errorf("healthy: got %q, want WATCHDOG=1", got)
		}
	}
	if got := receive(); !strings.Contains(got, "STATUS=unhealthy: journal does not answer") || strings.Contains(got, "WATCHDOG") {
		t.Errorf("unhealthy: got %q, want a status and no beat", got)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestWithoutSystemdNothingHappens(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	t.Setenv("WATCHDOG_USEC", "")
	if err := Ready("serving"); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Watch(ctx, func(context.Context) error { t.Error("asked without a watchdog"); return nil }); err != nil {
		t.Error(err)
	}
}
