package netns

import (
	"context"
	"fmt"
	"net/netip"
	"os/exec"
	"strconv"
	"strings"
)

// Command returns a command that will run at the host. Its process is the
// program's own: ip becomes it.
func (h *Host) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "ip", append([]string{"netns", "exec", h.space, name}, args...)...)
}

// Lose makes the host lose this share of the packets that come to it from a
// network, 1 for all of them. It is silent, as on a bad cable: who sent them
// is told nothing.
func (h *Host) Lose(share float64, from netip.Prefix) {
	h.lab.tb.Helper()
	args := []string{"-A", "INPUT", "-s", from.String(), "-j", "DROP"}
	if share < 1 {
		args = append(args, "-m", "statistic", "--mode", "random", "--probability", strconv.FormatFloat(share, 'f', 6, 64))
	}
	h.run("iptables", args...)
}

// LoseNothing takes back what Lose did.
func (h *Host) LoseNothing() {
	h.lab.tb.Helper()
	h.run("iptables", "-F", "INPUT")
}

// Counters are what went over a host's cable so far, Ethernet headers
// included.
type Counters struct {
	ReceivedBytes, SentBytes     uint64
	ReceivedPackets, SentPackets uint64
}

// Counters reads what went over the host's cable.
func (h *Host) Counters() Counters {
	h.lab.tb.Helper()
	out, err := h.Command(h.lab.tb.Context(), "cat", "/proc/net/dev").Output()
	if err != nil {
		h.lab.tb.Fatalf("read the counters of %s: %v", h.space, err)
	}
	c, err := parseCounters(string(out))
	if err != nil {
		h.lab.tb.Fatal(err)
	}
	return c
}

// parseCounters reads the line of eth0 in /proc/net/dev: after the colon eight
// numbers of what was received, and eight of what was sent.
func parseCounters(text string) (Counters, error) {
	for line := range strings.Lines(text) {
		name, rest, _ := strings.Cut(line, ":")
		if strings.TrimSpace(name) != "eth0" {
			continue
		}
		fields := strings.Fields(rest)
		if len(fields) < 10 {
			break
		}
		var n [10]uint64
		for i := range n {
			var err error
			if n[i], err = strconv.ParseUint(fields[i], 10, 64); err != nil {
				return Counters{}, fmt.Errorf("read /proc/net/dev: %w", err)
			}
		}
		return Counters{ReceivedBytes: n[0], ReceivedPackets: n[1], SentBytes: n[8], SentPackets: n[9]}, nil
	}
	return Counters{}, fmt.Errorf("no counters of eth0 in /proc/net/dev: %q", text)
}

func (h *Host) run(name string, args ...string) {
	h.lab.tb.Helper()
	out, err := h.Command(h.lab.tb.Context(), name, args...).CombinedOutput()
	if err != nil {
		h.lab.tb.Fatalf("%s %s at %s: %v: %s", name, strings.Join(args, " "), h.space, err, out)
	}
}

// write sets a value of the kernel's for the host's namespace.
func (h *Host) write(path, value string) {
	h.lab.tb.Helper()
	h.run("sh", "-c", `echo "$2" >"$1"`, "sh", path, value)
}
