package node

import (
	"time"

	"golang.org/x/time/rate"

	"grapevine/fleet"
	"grapevine/mesh/exchange"
)

// refusals bounds what is logged of blocks that are refused: a peer that lies
// may do so without end. All are counted.
type refusals struct {
	budget *rate.Limiter
	now    time.Time // of the message that is being taken in
	silent uint64    // not logged since the last that was
}

const (
	refusalEvery = 10 * time.Second
	refusalBurst = 8
)

// refused notes who sent a block that is wrong in itself.
func (n *Node) refused(p *exchange.Peer, host fleet.HostID, err error) {
	if !n.refusal.budget.AllowN(n.refusal.now, 1) {
		n.refusal.silent++
		return
	}
	n.cfg.Log.Warn("block refused", "host", host, "peer", p.ID, "error", err, "refused_unlogged", n.refusal.silent)
	n.refusal.silent = 0
}
