package netns_test

import (
	"testing"

	"grapevine/fleet"
)

// One group of three is cut off. Both sides go on answering, each saying on how
// much of the fleet its answers rest; both go on working; and when the cable is
// back, everybody holds the same again.
func TestBothSidesOfACutGoOnAnsweringAndMerge(t *testing.T) {
	w := newWorld(t)
	majority, minority := w.in("ab"), w.in("c")

	w.lab.Unplug("c")
	took := w.eventually("group c is lost", majority, func(n *node) error { return n.cutOff("c") })
	t.Logf("%.1f s after the cut 8 agents and the registry show 8 of 12 hosts", took.Seconds())
	took = w.eventually("groups a and b are lost", minority, func(n *node) error { return n.cutOff("ab") })
	t.Logf("%.1f s after that 4 agents show 4 of 12 hosts", took.Seconds())

	w.registry.do("instance", "stop", "vm-b2", "--wait", "60s")
	w.agent("c3").do("instance", "stop", "vm-c3", "--wait", "60s")
	w.power("b2", fleet.PowerStopped, majority)
	w.power("c3", fleet.PowerStopped, minority)
	w.power("b2", fleet.PowerRunning, minority) // what was last heard

	w.lab.Plug("c")
	t.Logf("%.1f s after the cable was back all 13 nodes hold the same", w.merged().Seconds())
	w.power("b2", fleet.PowerStopped, w.all())
	w.power("c3", fleet.PowerStopped, w.all())
}

// Packets of one group no longer reach the others, while it still hears them.
// That is a cut like any other: it is shown, and it heals.
func TestCutInOneDirectionIsACut(t *testing.T) {
	w := newWorld(t)
	for _, n := range w.in("ab") {
		n.host.Lose(1, network("c"))
	}
	took := w.eventually("group c is lost", w.in("ab"), func(n *node) error { return n.cutOff("c") })
	t.Logf("%.1f s after the cut 8 agents and the registry show 8 of 12 hosts", took.Seconds())
	for _, n := range w.in("c") { // what it makes of it is its own affair, but it answers
		if list := n.instances(); len(list.Items) != len(w.machines) || list.Coverage.Known != len(w.agents) {
			t.Errorf("%s lists %d instances and rests on %+v", n.name, len(list.Items), list.Coverage)
		}
	}
	w.agent("c3").do("instance", "stop", "vm-c3", "--wait", "60s")
	for _, n := range w.in("ab") {
		n.host.LoseNothing()
	}
	t.Logf("%.1f s after it ended all 13 nodes hold the same", w.merged().Seconds())
	w.power("c3", fleet.PowerStopped, w.all())
}
