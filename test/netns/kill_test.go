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
		<-w.agent(name).Ended
	}
	shown := sightings{}
	w.eventually("the registry shows who is gone", []*node{w.registry}, func(n *node) error {
		hosts, err := read[fleet.List[fleet.Host]](n, "host", "list")
		if err != nil {
			return err
		}
		shown.note(hosts.Items, time.Since(began))
		return n.misses(hosts, killed)
	})
	for _, name := range killed {
		shown.checkSuspectFirst(t, name)
	}
	w.eventually("all others show who is gone", rest, func(n *node) error {
		hosts, err := read[fleet.List[fleet.Host]](n, "host", "list")
		if err != nil {
			return err
		}
		return n.misses(hosts, killed)
	})
	t.Logf("%.1f s after the kill everybody shows 8 of 12 hosts", time.Since(began).Seconds())

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

// sightings are how hosts were shown at a node, look after look.
type sightings map[string][]sighting

type sighting struct {
	at    time.Duration // since the kill
	reach fleet.Reachability
}

func (s sightings) note(hosts []fleet.Host, at time.Duration) {
	for _, h := range hosts {
		s[h.Name] = append(s[h.Name], sighting{at, h.Reachability})
	}
}

// often is how often one must look to see a host suspect: gossip takes some
// seconds more to give it up.
const often = 2 * time.Second

// checkSuspectFirst checks that a host went from ok to suspect to unreachable,
// and did not come back from there. On a machine so slow that two looks were
// far apart suspect may have been missed; and where gossip takes longer than
// hints stand, the host is ok once more in between.
func (s sightings) checkSuspectFirst(t *testing.T, host string) {
	t.Helper()
	order := []fleet.Reachability{fleet.ReachOK, fleet.ReachSuspect, fleet.ReachUnreachable}
	last := sighting{reach: fleet.ReachOK}
	for _, now := range s[host] {
		from, to := slices.Index(order, last.reach), slices.Index(order, now.reach)
		switch {
		case to < from && last.reach == fleet.ReachUnreachable:
			t.Errorf("%s went from %s back to %s after %.1f s", host, last.reach, now.reach, now.at.Seconds())
		case to == from+2 && now.at-last.at < often:
			t.Errorf("%s was unreachable after %.1f s and not suspect before", host, now.at.Seconds())
		case to == from+2:
			t.Logf("%s may have been suspect between %.1f and %.1f s; nobody looked", host, last.at.Seconds(), now.at.Seconds())
		case to != from:
			t.Logf("%s is %s after %.1f s", host, now.reach, now.at.Seconds())
		}
		last = now
	}
}

// misses says why the node does not show these hosts, and no others, as
// unreachable.
func (n *node) misses(hosts fleet.List[fleet.Host], lost []string) error {
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
