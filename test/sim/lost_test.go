package sim

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"testing"
	"time"

	"grapevine/fleet"
	"grapevine/mesh/meshtest"
	"grapevine/mesh/replica"
	"grapevine/mesh/wire"
	"grapevine/view"
)

// What a fleet may write in the minute after a part of it is lost, in bytes.
// Each figure is what it takes on a link, with its frame.
const (
	// pulseBytes is what each side of a link says once a second.
	pulseBytes = 64
	// beatBytes is one host's sign of life, which it gives twice a minute and
	// every node hears once or, on its way from both sides, twice.
	beatBytes = 32
	// restated is one agent's row about a host that it no longer hears, as the
	// others get it, announced by some and wanted from one.
	restated = 320
	// linkAnew is what it takes to put a lost link's successor in its place: who
	// one is, and a digest of what one holds.
	linkAnew = 16 << 10
)

// minuteBound is how many bytes a node may write on average in the minute after
// so many of all were lost. Each agent has three links of its own and as many
// that others opened, a share of them to those that are lost. Of each it says
// that it no longer hears it and, when the membership has judged, takes that
// back; both reach every survivor once. So what is lost is paid for by the
// hosts that are lost and not by their square.
func minuteBound(all, lost int) int {
	const links = 2 * 3
	survivors := all - lost
	lostLinks := (links*lost + all - 1) / all
	pulses := 60 * links * pulseBytes
	beats := 2 * 2 * survivors * beatBytes
	said := 2 * lostLinks * survivors * restated
	return pulses + beats + said + lostLinks*linkAnew
}

// lossOf is a fleet of which a part is lost, and what some of the rest show.
type lossOf struct {
	*meshtest.Fleet
	t      *testing.T
	shelf  meshtest.Shelf
	agents []*meshtest.Member
	lost   map[*meshtest.Member]bool
	shown  map[*meshtest.Member]*view.View
	list   []fleet.Member // the membership, as all see it
}

const perHost = 3 // instances

func newLoss(t *testing.T, agents, lost int) *lossOf {
	t.Helper()
	l := &lossOf{
		Fleet: meshtest.NewFleet(agents, meshtest.FleetOptions{Seed: 12, MinDelay: time.Millisecond, MaxDelay: time.Millisecond}),
		t:     t, lost: map[*meshtest.Member]bool{}, shown: map[*meshtest.Member]*view.View{},
	}
	l.agents = slices.Clone(l.Nodes)
	for i := range lost {
		l.lost[l.agents[i*agents/lost]] = true
	}
	registry := l.Add(fleet.RoleRegistry)
	l.list = l.Everybody()
	for _, m := range l.Nodes {
		l.start(m)
	}
	for _, m := range []*meshtest.Member{registry, l.agents[1], l.agents[agents-1]} {
		l.shown[m] = view.New(view.Config{Source: &source{fleet: l, member: m}, Self: m.ID, Now: l.Now})
	}
	return l
}

func (l *lossOf) start(m *meshtest.Member) {
	r := replica.New()
	r.ShareWith(&l.shelf)
	l.See(m, l.list)
	l.Start(m, r)
	if m.Role != fleet.RoleAgent {
		return
	}
	rows := []replica.OwnRow{{Key: wire.HostKey(m.ID), Body: wire.EncodeHost(fleet.Host{ID: m.ID, Name: fmt.Sprint("host-", m.Index), Hypervisor: fleet.KVM})}}
	for n := range perHost {
		in := fleet.Instance{ID: fleet.NewUUIDv5(m.ID, fmt.Sprint(n)), Name: fmt.Sprint("vm-", n), Host: m.ID, Power: fleet.PowerRunning}
		rows = append(rows, replica.OwnRow{Key: wire.InstanceKey(in.ID), Body: wire.EncodeInstance(in)})
	}
	l.Do(m, func(now time.Time) { m.Publish(rows, now) })
}

// whole says who does not hold what all hold.
func (l *lossOf) whole() error {
	first := l.Nodes[len(l.Nodes)-1].Replica()
	if first.Len() != len(l.agents) {
		return fmt.Errorf("the registry holds %d hosts", first.Len())
	}
	for _, m := range l.Nodes {
		if m.Up && m.Replica().Root() != first.Root() {
			return fmt.Errorf("%d holds %d hosts, and not what the registry holds", m.Index, m.Replica().Len())
		}
	}
	return nil
}

// kept says what of the lost hosts a survivor no longer holds as it was.
func (l *lossOf) kept(before map[fleet.HostID]wire.Head) error {
	for _, m := range l.Nodes {
		if !m.Up {
			continue
		}
		for dead := range l.lost {
			b := m.Replica().Block(dead.ID)
			if b == nil || b.Head() != before[dead.ID] {
				return fmt.Errorf("%d does not hold of %d what that last said", m.Index, dead.Index)
			}
		}
	}
	return nil
}

// show says what a view does not show as it must: all hosts with all their
// instances, those in gone as unreachable and the others as ok.
func (l *lossOf) show(gone map[*meshtest.Member]bool) error {
	want := map[fleet.HostID]fleet.Reachability{}
	for _, m := range l.agents {
		want[m.ID] = fleet.ReachOK
		if gone[m] {
			want[m.ID] = fleet.ReachUnreachable
		}
	}
	for at, v := range l.shown {
		hosts, err := v.Hosts(context.Background())
		if err != nil || len(hosts.Items) != len(want) || hosts.Coverage.Heard != len(want)-len(gone) || hosts.Coverage.Known != len(want) {
			return fmt.Errorf("%d shows %d hosts, %+v, %w", at.Index, len(hosts.Items), hosts.Coverage, err)
		}
		for i := range hosts.Items {
			if h := &hosts.Items[i]; h.Reachability != want[h.ID] {
				return fmt.Errorf("%d shows %s as %s", at.Index, h.Name, h.Reachability)
			}
		}
		if err := showInstances(v, want); err != nil {
			return fmt.Errorf("%d %w", at.Index, err)
		}
	}
	return nil
}

func showInstances(v *view.View, want map[fleet.HostID]fleet.Reachability) error {
	rows, err := v.Instances(context.Background(), fleet.InstanceQuery{Limit: fleet.MaxPage})
	if err != nil || len(rows.Items) != perHost*len(want) {
		return fmt.Errorf("shows %d instances, %w", len(rows.Items), err)
	}
	for i := range rows.Items {
		if row := &rows.Items[i]; row.Power != fleet.PowerRunning || row.Reachability != want[row.Host] {
			return fmt.Errorf("shows %s of %s as %s, %s", row.Name, row.Host, row.Power, row.Reachability)
		}
	}
	return nil
}

// minute returns how many bytes the fleet writes in a minute, on average for
// each node that is up, and at most in a second.
func (l *lossOf) minute(during func(second int)) (average, most int) {
	up := 0
	for _, m := range l.Nodes {
		if m.Up {
			up++
		}
	}
	began := l.Bytes()
	for second := range 60 {
		before := l.Bytes()
		during(second)
		l.Run(time.Second)
		most = max(most, int(l.Bytes()-before)/up)
	}
	return int(l.Bytes()-began) / up, most
}

// TestProof12ThirdOfAThousandAgentsLostIsShownAndComesBack kills 300 of 1,000
// agents at once (60 of 200 in a build's time), half of them with their
// machines, so that nobody is told: the survivors soon show them as unreachable,
// with all that they last said, and nobody else; what they write about it is
// bounded; and all is whole once they are back.
func TestProof12ThirdOfAThousandAgentsLostIsShownAndComesBack(t *testing.T) {
	agents := 200
	if os.Getenv("GRAPEVINE_PROOFS") == "long" {
		agents = 1000
	}
	lost := agents * 3 / 10
	l := newLoss(t, agents, lost)
	if !l.RunUntil(time.Minute, time.Second, func() bool { return l.whole() == nil && l.show(nil) == nil }) {
		t.Fatalf("a minute after the start: %v, %v", l.whole(), l.show(nil))
	}
	l.Run(30 * time.Second)
	idle, _ := l.minute(func(int) {})
	before := map[fleet.HostID]wire.Head{}
	for m := range l.lost {
		before[m.ID] = m.Replica().Block(m.ID).Head()
	}

	for i, m := range l.agents {
		if l.lost[m] {
			l.Kill(m, i%2 == 0)
		}
	}
	average, most := l.minute(func(second int) {
		if second == int(detection.Seconds()) {
			l.judge()
		}
		if second > int(detection.Seconds()) {
			if err := l.show(l.lost); err != nil {
				t.Errorf("%d s after the loss: %v", second, err)
			}
		}
	})
	if err := l.kept(before); err != nil {
		t.Error(err)
	}
	bound := minuteBound(agents, lost)
	if average > bound {
		t.Errorf("a node wrote %d bytes in the minute after the loss, and %d are the bound", average, bound)
	}
	t.Logf("%d of %d lost: a node wrote %d bytes in a minute before, %d in the one after, %d at most in a second of it; the bound is %d a minute", lost, agents, idle, average, most, bound)

	l.back()
	if !l.RunUntil(time.Minute, time.Second, func() bool { return l.whole() == nil && l.show(nil) == nil }) {
		t.Errorf("a minute after all are back: %v, %v", l.whole(), l.show(nil))
	}
}

// judge has the membership say that the lost have failed.
func (l *lossOf) judge() {
	l.list = slices.Clone(l.list)
	for i := range l.list {
		for m := range l.lost {
			if l.list[i].ID == m.ID {
				l.list[i].Status = fleet.MemberFailed
			}
		}
	}
	l.tell()
}

// back starts all that were lost, at once.
func (l *lossOf) back() {
	l.list = l.Everybody()
	for _, m := range slices.SortedFunc(maps.Keys(l.lost), func(a, b *meshtest.Member) int { return a.Index - b.Index }) {
		l.start(m)
	}
	l.tell()
}

func (l *lossOf) tell() {
	for _, m := range l.Nodes {
		if m.Up {
			l.See(m, l.list)
		}
	}
}

// source is what a view reads at a member.
type source struct {
	view.Gossip // nobody asks
	fleet       *lossOf
	member      *meshtest.Member
}

func (s *source) Replica() *replica.Replica { return s.member.Replica() }
func (s *source) Members() []fleet.Member   { return s.fleet.list }

// MembersChanged is closed: the view is to look each time.
func (s *source) MembersChanged() <-chan struct{} {
	always := make(chan struct{})
	close(always)
	return always
}

func (s *source) LinkList() []fleet.Link            { return nil }
func (s *source) Wanted(fleet.HostID) fleet.Version { return fleet.Version{} }
