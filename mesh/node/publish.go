package node

import (
	"slices"
	"time"

	"golang.org/x/time/rate"

	"grapevine/fleet"
	"grapevine/mesh/replica"
	"grapevine/mesh/wire"
)

// The budget of one publisher: 20 publications a second are announced, and a
// few in a row at once; more are joined into these.
const (
	publishRate  = 20
	publishBurst = 4
)

// beatEvery is how often a host that has nothing new gives a sign of life.
const beatEvery = 30 * time.Second

// own is what this agent says of its host.
type own struct {
	origin     *replica.Origin  // nil at a registry
	rows       []replica.OwnRow // last stated
	stated     bool
	budget     *rate.Limiter
	announceAt time.Time // a publication that the budget holds back; zero for none
}

func newBudget() *rate.Limiter { return rate.NewLimiter(publishRate, publishBurst) }

// Publish states the rows of the own host, in any order and without two of one
// key. It returns the version under which they are visible, at once here and
// soon everywhere, and the zero version while the epoch is not settled: the
// newest rows are then published as soon as it is.
func (n *Node) Publish(rows []replica.OwnRow, now time.Time) fleet.Version {
	if n.own.origin == nil {
		return fleet.Version{} // a registry has nothing to say
	}
	n.own.rows, n.own.stated = rows, true
	if !n.epoch.settled {
		return fleet.Version{}
	}
	return n.publish(now)
}

func (n *Node) publish(now time.Time) fleet.Version {
	block, changed, err := n.own.origin.Next(n.withCredential(n.withHints(n.own.rows)))
	if err != nil {
		n.cfg.Log.Error("state not published", "host", n.cfg.ID, "error", err)
		return n.replica.Version(n.cfg.ID)
	}
	if changed {
		n.exchange.Install(block, now)
		n.announce(now)
	}
	return block.Version()
}

// withCredential adds the row that proves who signs, and has the next block
// signed so.
func (n *Node) withCredential(rows []replica.OwnRow) []replica.OwnRow {
	if n.cfg.Seal == nil {
		return rows
	}
	credential, sign := n.cfg.Seal()
	n.own.origin.SignWith(sign)
	return append(slices.Clone(rows), replica.OwnRow{Key: wire.CredentialKey(), Body: wire.Body{Core: credential}})
}

// announce announces the own block if the budget allows, and later otherwise.
func (n *Node) announce(now time.Time) {
	grant := n.own.budget.ReserveN(now, 1)
	if wait := grant.DelayFrom(now); wait > 0 {
		grant.CancelAt(now)
		n.own.announceAt = now.Add(wait)
		return
	}
	n.own.announceAt = time.Time{}
	n.exchange.AnnounceSelf(now)
}
