package node

import (
	"fmt"
	"time"

	"grapevine/fleet"
)

// askPeersFor is how long an agent waits for its peers to say what they heard
// of it, before it publishes without them. Should they say more later, it
// raises its epoch then.
const askPeersFor = 3 * time.Second

// epoch is the life of the own block.
type epoch struct {
	journal  uint64    // last stored
	settled  bool      // the own block may be published
	storing  bool      // StoreEpoch was asked for
	askUntil time.Time // zero once peers were asked

	next, incarnation uint64 // while storing

	ours []uint64 // the incarnations of this life of the node
	told Return   // by peers, of lives before
}

// Settled reports whether the own block may be published. A registry, which
// owns none, is always settled.
func (n *Node) Settled() bool { return n.epoch.settled }

// settleEpoch begins an epoch above the journal's and above all that peers
// hold, as soon as enough of them were asked, and again whenever a peer turns
// out to hold something newer of this host than its agent published.
func (n *Node) settleEpoch(now time.Time) {
	e := &n.epoch
	if n.cfg.Role == fleet.RoleRegistry || n.started.IsZero() || e.storing {
		return
	}
	if !e.askUntil.IsZero() && (n.heardEnough() && !n.exchange.SelfWanted() || due(e.askUntil, now)) {
		e.askUntil = time.Time{}
	}
	if !e.askUntil.IsZero() {
		return
	}
	heard, ok := n.takeSelf()
	if !ok {
		return
	}
	if e.settled && (heard == 0 || heard < e.journal) {
		return
	}
	n.nextEpoch(max(e.journal, heard) + 1)
}

// heardEnough reports whether as many peers were heard as this node would have
// links, or as there are. Alone, with none to join, there is nobody to hear.
func (n *Node) heardEnough() bool {
	if n.members.others == 0 {
		return !n.cfg.Joins
	}
	return len(n.links) >= min(n.members.others, n.cfg.Links)
}

// takeSelf returns the highest epoch in which peers hold this host, where this
// agent has to rise above it, or 0. It reports false, and has failed the node,
// when another machine published that block.
func (n *Node) takeSelf() (uint64, bool) {
	life, heard := n.exchange.TakeSelf()
	if !heard {
		return 0, true
	}
	if ours := n.cfg.Hardware; life.Hardware != "" && ours != "" && life.Hardware != ours && life.Hardware != n.cfg.Replaces {
		n.world.Fail(n.cloned(life.Hardware))
		return 0, false
	}
	n.cfg.Log.Info("peers hold this host already", "epoch", life.Epoch, "seq", life.Seq)
	return life.Epoch, true
}

// Raise begins another epoch: somebody has given up the host in the present one.
func (n *Node) Raise() {
	if e := &n.epoch; e.settled && !e.storing {
		n.nextEpoch(e.journal + 1)
	}
}

func (n *Node) nextEpoch(next uint64) {
	e := &n.epoch
	e.storing, e.next = true, next
	e.incarnation = max(n.cfg.Rand.Uint64(), 1)
	n.world.StoreEpoch(e.next, e.incarnation)
}

// EpochStored takes note that the epoch asked for is durable, and publishes
// what there is under it, or fails the node.
func (n *Node) EpochStored(err error, now time.Time) {
	e := &n.epoch
	e.storing = false
	if err != nil {
		n.world.Fail(fmt.Errorf("store epoch %d: %w", e.next, err))
		return
	}
	e.journal, e.settled = e.next, true
	e.ours = append(e.ours, e.incarnation)
	n.own.origin.Begin(e.next, e.incarnation)
	n.cfg.Log.Info("epoch settled", "epoch", e.next)
	if n.own.stated {
		n.publish(now)
	}
	n.settleEpoch(now)
}
