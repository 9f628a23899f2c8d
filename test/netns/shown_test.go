package netns_test

import (
	"fmt"
	"strings"
	"time"

	"grapevine/fleet"
)

// instances returns what the node lists, which must be an answer.
func (n *node) instances() fleet.List[fleet.Instance] {
	n.w.t.Helper()
	list, err := read[fleet.List[fleet.Instance]](n, "instance", "list")
	if err != nil {
		n.w.t.Fatalf("at %s: %v", n.name, err)
	}
	return list
}

// whole says why the node does not hear the whole fleet, or returns nil.
func (n *node) whole() error {
	hosts, err := read[fleet.List[fleet.Host]](n, "host", "list")
	if err != nil {
		return err
	}
	all := len(n.w.agents)
	if hosts.Coverage != (fleet.Coverage{Heard: all, Known: all}) {
		return fmt.Errorf("its coverage is %+v", hosts.Coverage)
	}
	return n.marks(hosts, "")
}

// cutOff says why the node does not show the hosts of some groups, and no
// others, as unreachable, or returns nil. Every list must say on how many hosts
// it rests, and nothing of the lost hosts may be missing from it.
func (n *node) cutOff(lost string) error {
	hosts, err := read[fleet.List[fleet.Host]](n, "host", "list")
	if err != nil {
		return err
	}
	if err := n.marks(hosts, lost); err != nil {
		return err
	}
	want := fleet.Coverage{Known: len(n.w.agents), Heard: len(n.w.agents) - perGroup*len(lost)}
	instances, err := read[fleet.List[fleet.Instance]](n, "instance", "list")
	if err != nil {
		return err
	}
	if err := n.machinesShown(instances.Items, lost); err != nil {
		return err
	}
	images, err := read[fleet.List[fleet.Image]](n, "image", "list")
	if err != nil {
		return err
	}
	members, err := read[fleet.List[fleet.Member]](n, "mesh", "members")
	if err != nil {
		return err
	}
	lag, err := read[fleet.List[fleet.LagRow]](n, "mesh", "lag")
	if err != nil {
		return err
	}
	for what, got := range map[string]fleet.Coverage{
		"hosts": hosts.Coverage, "instances": instances.Coverage, "images": images.Coverage,
		"members": members.Coverage, "lag": lag.Coverage,
	} {
		if got != want {
			return fmt.Errorf("its list of %s rests on %+v, want %+v", what, got, want)
		}
	}
	return n.saysSo(want)
}

// marks says which host is not shown as it should be.
func (n *node) marks(hosts fleet.List[fleet.Host], lost string) error {
	if len(hosts.Items) != len(n.w.agents) {
		return fmt.Errorf("it lists %d hosts, want %d", len(hosts.Items), len(n.w.agents))
	}
	for _, h := range hosts.Items {
		if want := reachOf(h.Name, lost); h.Reachability != want || want != fleet.ReachOK && h.ReachabilitySince == nil {
			return fmt.Errorf("it shows host %s as %s since %v, want %s", h.Name, h.Reachability, h.ReachabilitySince, want)
		}
	}
	return nil
}

// reachOf is how a host is to be shown where these groups, or hosts, are lost.
func reachOf(host, lost string) fleet.Reachability {
	if strings.Contains(lost, host[:1]) {
		return fleet.ReachUnreachable
	}
	return fleet.ReachOK
}

// machinesShown says which machine is missing, doubled, on another host or not
// marked as it should be.
func (n *node) machinesShown(rows []fleet.Instance, lost string) error {
	if len(rows) != len(n.w.machines) {
		return fmt.Errorf("it lists %d instances, want %d", len(rows), len(n.w.machines))
	}
	for _, row := range rows {
		host, made := n.w.machines[row.ID]
		switch want := reachOf(row.HostName, lost); {
		case !made || row.HostName != host:
			return fmt.Errorf("it shows instance %s on host %q; it was made on %q", row.Name, row.HostName, host)
		case row.Reachability != want:
			return fmt.Errorf("it shows instance %s as %s, want %s", row.Name, row.Reachability, want)
		case row.Power != fleet.PowerRunning && row.Power != fleet.PowerStopped:
			return fmt.Errorf("it shows instance %s as %s; the last seen state must stay", row.Name, row.Power)
		}
	}
	return nil
}

// saysSo says whether people are told on how much of the fleet a list rests.
func (n *node) saysSo(c fleet.Coverage) error {
	_, stderr, code := n.cli("host", "list")
	want := fmt.Sprintf("%d of %d hosts can be heard", c.Heard, c.Known)
	if code != 0 || !strings.Contains(stderr, want) {
		return fmt.Errorf("it does not say %q (exit code %d): %s", want, code, stderr)
	}
	return nil
}

// power waits until each of the nodes shows a host's machine so.
func (w *world) power(host string, want fleet.Power, at []*node) {
	w.t.Helper()
	w.eventually(fmt.Sprintf("the machine of %s is %s", host, want), at, func(n *node) error {
		list, err := read[fleet.List[fleet.Instance]](n, "instance", "list", "--host", host)
		if err != nil {
			return err
		}
		if len(list.Items) != 1 || list.Items[0].Power != want || list.Items[0].Task != fleet.TaskNone {
			return fmt.Errorf("it shows %+v", list.Items)
		}
		return nil
	})
}

// merged waits until all nodes hear everybody and hold the same, and every
// machine is there once. It says how long that took.
func (w *world) merged() time.Duration {
	w.t.Helper()
	began := time.Now()
	w.eventually("everybody is heard again", w.all(), func(n *node) error {
		if err := n.whole(); err != nil {
			return err
		}
		list, err := read[fleet.List[fleet.Instance]](n, "instance", "list")
		if err != nil {
			return err
		}
		return n.machinesShown(list.Items, "")
	})
	w.eventually("all nodes hold the same", []*node{w.registry}, func(*node) error { return w.equal() })
	return time.Since(began)
}

// equal says which nodes hold another fleet, or returns nil.
func (w *world) equal() error {
	first := ""
	for _, n := range w.all() {
		digest, err := read[fleet.Digest](n, "mesh", "digest")
		if err != nil {
			return err
		}
		if first == "" {
			first = digest.Root
		}
		if digest.Root != first {
			return fmt.Errorf("%s has the root %s, the registry %s", n.name, digest.Root, first)
		}
	}
	return nil
}

// epochs returns the epoch of each host, by name, as the node holds them.
func (n *node) epochs() map[string]uint64 {
	n.w.t.Helper()
	digest, err := read[fleet.Digest](n, "mesh", "digest")
	if err != nil {
		n.w.t.Fatal(err)
	}
	epochs := map[string]uint64{}
	for _, row := range digest.Rows {
		epochs[row.HostName] = row.Version.Epoch
	}
	return epochs
}
