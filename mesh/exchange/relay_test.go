package exchange

import (
	"testing"

	"grapevine/fleet"
	"grapevine/mesh/wire"
)

// complete returns n nodes that are all linked with one another, and each told.
func complete(n int) *sim {
	s := newSim(n)
	for a := range n {
		for b := range a {
			s.link(a, b)
		}
	}
	for _, node := range s.nodes {
		s.publish(node, vm(0, 0))
	}
	s.run(first)
	clear(s.sent)
	return s
}

func TestPeersOfTheOriginDoNotTellEachOther(t *testing.T) {
	s := complete(5)
	s.publish(s.nodes[0], vm(1, 1))
	s.settle()
	if !s.agreed() {
		t.Error("the nodes do not agree before anyone caught up")
	}
	if len(s.sent) != 1 || s.sent["*wire.Answer"] != 4 {
		t.Errorf("the news of one node reached its four peers with %v, want four answers", s.sent)
	}
}

// TestOneOfSeveralTells: nodes 1, 2 and 3 are linked with 0 and with 4, and 0 and
// 4 are not linked.
func TestOneOfSeveralTells(t *testing.T) {
	s := newSim(5)
	for _, relay := range []int{1, 2, 3} {
		s.link(0, relay)
		s.link(relay, 4)
	}
	for round := range 20 {
		s.publish(s.nodes[0], vm(1, round))
		s.run(first)
		clear(s.sent)
	}
	s.publish(s.nodes[0], vm(1, 99))
	s.settle()
	if !s.agreed() {
		t.Error("the nodes do not agree before anyone caught up")
	}
	if got := s.sent["*wire.Announce"]; got != 1 {
		t.Errorf("three who could tell the fifth sent %d announcements, want 1", got)
	}
}

func TestWhomOthersFailToTellIsToldWithTheNextPulse(t *testing.T) {
	s := complete(3)
	l := s.links[0] // of nodes 1 and 0
	s.publish(s.nodes[0], vm(1, 1))
	for _, node := range s.nodes {
		node.x.CatchUp()
	}
	s.unlink(l) // node 2 still believes that 0 tells 1
	s.settle()
	if s.nodes[1].r.Root() == s.nodes[0].r.Root() {
		t.Fatal("node 1 was told by 2, who had reason to leave that to 0")
	}
	s.nodes[2].x.CatchUp()
	s.settle()
	if !s.agreed() {
		t.Error("node 1 was not told with the pulse")
	}
}

func TestMoreLinksThanAreKeptBreakTheProtocol(t *testing.T) {
	s := newSim(1)
	x := s.nodes[0].x
	p := x.Connect(fleet.UUID{9}, false, func() {}, s.now)
	if err := x.Receive(p, &wire.Peers{Tags: make([]wire.Tag, maxPeers+1)}, s.now); err == nil {
		t.Error("a list of 65 peers was taken")
	}
}
