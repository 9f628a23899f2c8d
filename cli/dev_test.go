package cli

import (
	"context"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"

	"grapevine/fleet"
	"grapevine/internal/testlog"
)

func TestDevSaysWhereTheFleetIsAndLeavesNothing(t *testing.T) {
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var out, log testlog.Log
	ended := make(chan int, 1)
	go func() {
		ended <- Main(ctx, []string{"dev", "--hosts", "2", "--listen", "127.0.0.1:0"}, strings.NewReader(""), &out, &log)
	}()
	deadline := time.Now().Add(time.Minute)
	for !strings.Contains(out.String(), "Ctrl-C ends it all.") {
		select {
		case code := <-ended:
			t.Fatalf("the fleet ended with %d:\n%s", code, log.String())
		case <-time.After(10 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("the fleet is not ready after a minute:\n%s", log.String())
		}
	}
	commands := regexp.MustCompile(`(?m)^  GRAPEVINE_ADDR=(\S+) bin/grapevine (.*)$`).FindAllStringSubmatch(out.String(), -1)
	if len(commands) != 4 {
		t.Fatalf("got %d commands to try, want 4:\n%s", len(commands), out.String())
	}
	for _, c := range commands {
		run(t, c[1], strings.Fields(c[2])...).wants(t, 0, "", "")
	}
	run(t, commands[0][1], "instance", "show", "web").wants(t, 0, string(fleet.PowerRunning), "")
	cancel()
	if code := <-ended; code != 0 || !strings.Contains(log.String(), "left nothing behind") {
		t.Errorf("got exit code %d, want 0\n%s", code, log.String())
	}
	if left := mustList(t, temporary); len(left) != 0 {
		t.Errorf("left behind %v", left)
	}
}

func TestDevRefusesAPortInUse(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	runNow(t, nil, "dev", "--listen", taken.Addr().String()).wants(t, 1, "", "the port is in use")
	runNow(t, nil, "dev", "--hosts", "0").wants(t, 1, "", "hosts is 0; it must be 1 to")
	runNow(t, nil, "dev", "--log-level", "loud").wants(t, 2, "", `"loud"`)
}
