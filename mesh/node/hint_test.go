package node_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"grapevine/fleet"
	"grapevine/mesh/meshtest"
	"grapevine/mesh/replica"
	"grapevine/mesh/wire"
)

// flight is how long a write is on its way here: long enough for a host to
// die while its last words travel.
const flight = 100 * time.Millisecond

// linkedFleet is a fleet of agents at rest, each with its host's row, which all
// hold.
func linkedFleet(t *testing.T, agents int) *meshtest.Fleet {
	t.Helper()
	f := meshtest.NewFleet(agents, meshtest.FleetOptions{Seed: 1, MinDelay: flight, MaxDelay: flight})
	list := f.Everybody()
	for _, m := range f.Nodes {
		f.See(m, list)
		f.Start(m, replica.New())
		say(f, m, 0)
	}
	if !f.RunUntil(time.Minute, time.Second, func() bool { return alike(f) }) {
		t.Fatal("the fleet never held the same")
	}
	f.Run(5 * time.Second) // what is still said of it comes to an end
	return f
}

// say publishes a host's row that differs by a number.
func say(f *meshtest.Fleet, m *meshtest.Member, number int) {
	row := replica.OwnRow{Key: wire.HostKey(m.ID), Body: wire.EncodeHost(fleet.Host{ID: m.ID, HypervisorVersion: fmt.Sprint("number ", number)})}
	f.Do(m, func(now time.Time) { m.Publish([]replica.OwnRow{row}, now) })
}

// alike reports whether all hold what each says of itself.
func alike(f *meshtest.Fleet) bool {
	for _, of := range f.Nodes {
		said := of.Replica().Version(of.ID)
		for _, at := range f.Nodes {
			if said.Seq == 0 || at.Replica().Version(of.ID) != said {
				return false
			}
		}
	}
	return true
}

// hintsAbout counts the hints about a host that name at least a version, among
// the blocks that a member holds.
func hintsAbout(at *meshtest.Member, subject fleet.Version) int {
	count := 0
	for observer := range at.Replica().Blocks() {
		for hint := range observer.Hints() {
			if hint.Subject == subject.Host && hint.Heard.AtLeast(subject) {
				count++
			}
		}
	}
	return count
}

// A host dies while what it said last is on its way to one neighbour. That
// neighbour tells the others after they lost their links with the host, who
// must not take it for a sign of life.
func TestLastWordsOfALostHostAreNoSignOfLife(t *testing.T) {
	f := linkedFleet(t, 8)
	lost := f.Nodes[3]
	var heir *meshtest.Member
	tells := false
	f.Wrote = func(_ *meshtest.Member, msgs []wire.Message, _ int) {
		tells = slices.ContainsFunc(msgs, func(m wire.Message) bool { _, news := m.(*wire.Answer); return news })
	}
	f.Change = func(from, to *meshtest.Member, write []byte) []byte {
		switch {
		case from != lost:
		case heir == nil && tells:
			heir = to
		case to != heir:
			return write[:0] // lost with the host
		}
		return write
	}
	say(f, lost, 1)
	last := lost.Replica().Version(lost.ID)
	f.RunUntil(time.Second, time.Millisecond, func() bool { return heir != nil })
	f.Kill(lost, true)
	f.Run(flight)
	if heir == nil || heir.Replica().Version(lost.ID) != last {
		t.Fatal("its last words did not reach the one neighbour")
	}
	f.Run(3 * time.Second)
	for _, at := range f.Nodes {
		if at == lost {
			continue
		}
		if got := hintsAbout(at, last); got < 2 {
			t.Errorf("node %d holds %d hints about the lost host that are not void, want 2 or more", at.Index, got)
		}
	}
}

// Two hosts lose their links with one that lives on. As soon as it says
// something they know from others that it lives.
func TestHostThatSpeaksAfterALinkBrokeIsHeardAgain(t *testing.T) {
	f := linkedFleet(t, 8)
	subject := f.Nodes[3]
	var observers []*meshtest.Member
	for _, l := range subject.Links(f.Now())[:2] {
		observers = append(observers, memberOf(t, f, l.Peer))
	}
	for _, o := range observers {
		f.Cut(o, subject)
		f.Cut(subject, o)
	}
	silent := f.RunUntil(10*time.Second, flight, func() bool { return hintsAbout(f.Nodes[0], fleet.Version{Host: subject.ID}) == 2 })
	if !silent {
		t.Fatal("the two never said that they do not hear it")
	}
	f.Run(2 * time.Second)
	say(f, subject, 1)
	f.Run(3 * time.Second)
	if got := hintsAbout(f.Nodes[0], fleet.Version{Host: subject.ID}); got != 0 {
		t.Errorf("%d hints are left about a host that spoke since", got)
	}
}

func memberOf(t *testing.T, f *meshtest.Fleet, id fleet.UUID) *meshtest.Member {
	t.Helper()
	for _, m := range f.Nodes {
		if m.ID == id {
			return m
		}
	}
	t.Fatalf("no member is %s", id)
	return nil
}
