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
	marks := map[string]int{}
	for _, n := range rest {
		marks[n.name] = n.logged()
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
		observers := 0
		for _, n := range rest {
			if n.role == "agent" && n.lostLink(name, marks[n.name]) {
				observers++
			}
		}
		shown.checkSuspectFirst(t, name, observers)
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

const (
	// often is how often one must look to see a host suspect: gossip takes some
	// seconds more to give it up.
	often = 2 * time.Second
	// enoughObservers is how many agents that live on must have lost a link with
	// a host for it to be suspect. A host whose few links were with hosts that were
	// killed with it is missed by gossip alone.
	enoughObservers = 2
)

// checkSuspectFirst checks that a host which so many others lost a link with
// went from ok to suspect to unreachable, and did not come back from there. On
// a machine so slow that two looks were far apart suspect may have been missed;
// and where gossip takes longer than hints stand, the host is ok once more in
// between.
func (s sightings) checkSuspectFirst(t *testing.T, host string, observers int) {
	t.Helper()
	order := []fleet.Reachability{fleet.ReachOK, fleet.ReachSuspect, fleet.ReachUnreachable}
	last, suspected := sighting{reach: fleet.ReachOK}, false
	for _, now := range s[host] {
		from, to := slices.Index(order, last.reach), slices.Index(order, now.reach)
		switch {
		case to < from && last.reach == fleet.ReachUnreachable:
			t.Errorf("%s went from %s back to %s after %.1f s", host, last.reach, now.reach, now.at.Seconds())
		case to == from+2 && !suspected && observers < enoughObservers:
			t.Logf("%s is unreachable after %.1f s; %d who live on had a link with it", host, now.at.Seconds(), observers)
		case to == from+2 && !suspected && now.at-last.at < often:
			t.Errorf("%s was unreachable after %.1f s and not suspect before, though %d lost a link with it", host, now.at.Seconds(), observers)
		case to == from+2 && !suspected:
			t.Logf("%s may have been suspect between %.1f and %.1f s; nobody looked", host, last.at.Seconds(), now.at.Seconds())
		case to != from:
			t.Logf("%s is %s after %.1f s", host, now.reach, now.at.Seconds())
		}
		last, suspected = now, suspected || now.reach == fleet.ReachSuspect
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
func (n *node) declaredLost() int { return strings.Count(n.said(), "EventMemberFailed") }

// logged is how long the node's log is by now.
func (n *node) logged() int { return len(n.said()) }

// lostLink reports whether the node's log tells, from there on, that it lost a
// link with the peer.
func (n *node) lostLink(peer string, from int) bool {
	for line := range strings.Lines(n.said()[from:]) {
		if strings.Contains(line, `msg="link ended"`) && strings.Contains(line, " peer_name="+peer+" ") {
			return true
		}
	}
	return false
}

// said is the node's log.
func (n *node) said() string {
	n.w.t.Helper()
	data, err := os.ReadFile(n.log())
	if err != nil {
		n.w.t.Fatal(err)
	}
	return string(data)
}
