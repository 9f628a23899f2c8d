package netns_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"grapevine/fleet"
)

// A third of the fleet is killed at once. The others go on answering and show
// it; started again, each comes back as itself, in a later epoch, with its
// machines, none lost and none twice.
func TestThirdOfTheFleetKilledAtOnceComesBackWhole(t *testing.T) {
	w := newWorld(t)
	killed := []string{"a2", "b3", "c1", "c4"} // c1 is one that others join through
	before := w.registry.epochs()
	var rest []*node
	for _, n := range w.all() {
		if !slices.Contains(killed, n.name) {
			rest = append(rest, n)
		}
	}
	for _, name := range killed {
		w.agent(name).kill()
	}
	began := time.Now()
	for _, name := range killed {
		<-w.agent(name).ended
	}
	w.eventually("the registry shows who is gone", []*node{w.registry}, func(n *node) error { return n.misses(killed) })
	t.Logf("%.1f s after the kill the registry shows 8 of 12 hosts", time.Since(began).Seconds())
	w.eventually("all others show who is gone", rest, func(n *node) error { return n.misses(killed) })

	for _, name := range killed {
		w.agent(name).launch()
	}
	t.Logf("%.1f s after their restart all 13 nodes hold the same", w.merged().Seconds())
	for host, epoch := range w.registry.epochs() {
		if restarted := slices.Contains(killed, host); restarted != (epoch > before[host]) {
			t.Errorf("host %s was in epoch %d and is in %d; it was restarted: %v", host, before[host], epoch, restarted)
		}
	}
}

// misses says why the node does not show these hosts, and no others, as
// unreachable.
func (n *node) misses(lost []string) error {
	hosts, err := read[fleet.List[fleet.Host]](n, "host", "list")
	if err != nil {
		return err
	}
	for _, h := range hosts.Items {
		want := fleet.ReachOK
		if slices.Contains(lost, h.Name) {
			want = fleet.ReachUnreachable
		}
		if h.Reachability != want {
			return fmt.Errorf("it shows host %s as %s, want %s", h.Name, h.Reachability, want)
		}
	}
	all := len(n.w.agents)
	if want := (fleet.Coverage{Heard: all - len(lost), Known: all}); hosts.Coverage != want {
		return fmt.Errorf("its coverage is %+v, want %+v", hosts.Coverage, want)
	}
	if got := n.instances(); len(got.Items) != len(n.w.machines) {
		return fmt.Errorf("it lists %d instances, want %d", len(got.Items), len(n.w.machines))
	}
	return n.saysSo(hosts.Coverage)
}

// lossy is how long a group loses packets, at the least.
const lossy = time.Minute

// A group loses every tenth packet in each direction. Nobody is declared lost
// for it, by anyone.
func TestTenthOfThePacketsLostIsNoLostHost(t *testing.T) {
	w := newWorld(t)
	marks := map[string]int{}
	for _, n := range w.all() {
		marks[n.name] = n.declaredLost()
	}
	for _, n := range w.all() {
		if n.group == "c" {
			n.host.Lose(0.1, everything)
		} else {
			n.host.Lose(0.1, network("c"))
		}
	}
	for end := time.Now().Add(lossy); time.Now().Before(end); time.Sleep(time.Second) {
		for _, n := range []*node{w.registry, w.agent("c2")} {
			if list := n.instances(); len(list.Items) != len(w.machines) {
				t.Errorf("%s lists %d instances, want %d", n.name, len(list.Items), len(w.machines))
			}
		}
	}
	w.registry.do("instance", "stop", "vm-c2", "--wait", "60s") // through the loss
	for _, n := range w.all() {
		if lost := n.declaredLost() - marks[n.name]; lost != 0 {
			t.Errorf("%s declared %d hosts lost", n.name, lost)
		}
	}
	w.power("c2", fleet.PowerStopped, w.all())
}

// declaredLost counts in the node's log how often its failure detector gave a
// member up.
func (n *node) declaredLost() int {
	n.w.t.Helper()
	data, err := os.ReadFile(n.log())
	if err != nil {
		n.w.t.Fatal(err)
	}
	return strings.Count(string(data), "EventMemberFailed")
}
