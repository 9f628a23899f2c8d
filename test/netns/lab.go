package netns

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"grapevine/internal/leaveout"
)

// Lab is a backbone with switches and hosts. It lives as long as its test.
type Lab struct {
	tb       testing.TB
	prefix   string // of the names of its namespaces
	backbone string // the namespace that holds all switches
	switches map[string]int
	hosts    map[string]*Host
}

// Host is one machine in the lab.
type Host struct {
	lab   *Lab
	space string
	Addr  netip.Addr
}

// Unable says why this process cannot make a lab, or returns nil.
func Unable() error {
	if os.Getuid() != 0 {
		return errors.New("network namespaces need root")
	}
	for _, program := range []string{"ip", "iptables"} {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Errorf("%w; run scripts/setup-test-host", err)
		}
	}
	if out, err := exec.Command("unshare", "--net", "true").CombinedOutput(); err != nil { //nolint:noctx // ends at once
		return fmt.Errorf("network namespaces cannot be made here, run the container with --privileged: %w: %s", err, out)
	}
	return nil
}

var labs atomic.Int64

// spaces is where ip keeps the names of network namespaces.
const spaces = "/run/netns"

// New makes a lab with nothing in it. Where that is not possible the test is
// left out, which CI does not allow. When the test ends, the processes that
// are still in the lab's namespaces are the test's to end first.
func New(tb testing.TB) *Lab {
	tb.Helper()
	if err := Unable(); err != nil {
		leaveout.Test(tb, err.Error())
	}
	sweep(tb)
	l := &Lab{
		tb: tb, prefix: fmt.Sprintf("%s%d-%d", label, os.Getpid(), labs.Add(1)),
		switches: map[string]int{}, hosts: map[string]*Host{},
	}
	l.backbone = l.space("backbone")
	l.ip("link add core type bridge", "link set core up", "link set lo up")
	return l
}

// label begins the names of all namespaces of all labs; the process's id
// follows.
const label = "gvlab-"

// sweep removes what tests left behind that were killed: namespaces of
// processes that are no more.
func sweep(tb testing.TB) {
	tb.Helper()
	left, err := filepath.Glob(filepath.Join(spaces, label+"*"))
	if err != nil {
		tb.Fatal(err)
	}
	for _, path := range left {
		name := filepath.Base(path)
		owner, _, _ := strings.Cut(strings.TrimPrefix(name, label), "-")
		if pid, err := strconv.Atoi(owner); err != nil || alive(pid) {
			continue
		}
		_ = exec.Command("ip", "netns", "del", name).Run() //nolint:noctx // another test may have done so just now
	}
}

func alive(pid int) bool {
	_, err := os.Stat(fmt.Sprintf("/proc/%d", pid))
	return err == nil
}

// space makes a namespace that goes with the test.
func (l *Lab) space(name string) string {
	l.tb.Helper()
	full := l.prefix + "-" + name
	l.run("", "ip", "netns", "add", full)
	l.tb.Cleanup(func() {
		if out, err := exec.Command("ip", "netns", "del", full).CombinedOutput(); err != nil { //nolint:noctx // ends at once
			l.tb.Errorf("remove namespace %s: %v: %s", full, err, out)
		}
	})
	return full
}

// Switch adds a switch and plugs it into the backbone.
func (l *Lab) Switch(name string) {
	l.tb.Helper()
	n := len(l.switches) + 1
	l.switches[name] = n
	l.ip(
		fmt.Sprintf("link add sw%d type bridge", n), fmt.Sprintf("link set sw%d up", n),
		fmt.Sprintf("link add up%d type veth peer name down%d", n, n),
		fmt.Sprintf("link set up%d master sw%d", n, n), fmt.Sprintf("link set down%d master core", n),
		fmt.Sprintf("link set up%d up", n), fmt.Sprintf("link set down%d up", n),
	)
}

// Unplug pulls a switch's cable to the backbone: its hosts reach one another,
// and nobody else.
func (l *Lab) Unplug(name string) {
	l.tb.Helper()
	l.ip(fmt.Sprintf("link set up%d down", l.number(name)))
}

// Plug puts the cable back.
func (l *Lab) Plug(name string) {
	l.tb.Helper()
	l.ip(fmt.Sprintf("link set up%d up", l.number(name)))
}

func (l *Lab) number(name string) int {
	l.tb.Helper()
	n, there := l.switches[name]
	if !there {
		l.tb.Fatalf("the lab has no switch %q", name)
	}
	return n
}

// Host adds a host on a switch, with this address and network.
func (l *Lab) Host(name, on string, address netip.Prefix) *Host {
	l.tb.Helper()
	h := &Host{lab: l, space: l.space(name), Addr: address.Addr()}
	l.hosts[name] = h
	port := fmt.Sprintf("host%d", len(l.hosts))
	l.ip(
		fmt.Sprintf("link add %s type veth peer name eth0 netns %s", port, h.space),
		fmt.Sprintf("link set %s master sw%d", port, l.number(on)), fmt.Sprintf("link set %s up", port),
	)
	// Without IPv6 nothing but the programs' own traffic is on the wire.
	h.write("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1")
	l.batch(h.space, "link set lo up", fmt.Sprintf("addr add %s dev eth0", address), "link set eth0 up")
	return h
}

// ip runs commands of ip where the switches are.
func (l *Lab) ip(commands ...string) {
	l.tb.Helper()
	l.batch(l.backbone, commands...)
}

func (l *Lab) batch(space string, commands ...string) {
	l.tb.Helper()
	l.run(strings.Join(commands, "\n"), "ip", "-n", space, "-batch", "-")
}

// run runs a command that must succeed.
func (l *Lab) run(stdin, name string, args ...string) {
	l.tb.Helper()
	cmd := exec.Command(name, args...) //nolint:noctx // ends at once
	cmd.Stdin = strings.NewReader(stdin)
	if out, err := cmd.CombinedOutput(); err != nil {
		l.tb.Fatalf("%s %s: %v: %s%s", name, strings.Join(args, " "), err, out, stdin)
	}
}
