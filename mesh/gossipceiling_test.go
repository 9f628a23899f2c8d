package mesh

import (
	"testing"
	"time"

	"github.com/hashicorp/memberlist"
)

// ceiling is the rate of updates, by all nodes together, past which the queues
// of a fleet grow for ever: every node sends every update as often as the
// queue wants, and this is how many a second fit into the packets that a node
// sends when its queue is never empty.
func (a alternative) ceiling(nodes int) float64 {
	c := a.config()
	probes, gossips := int(time.Second/c.ProbeInterval), c.GossipNodes*int(time.Second/c.GossipInterval)
	message := a.message(make([]byte, spreadBytes))
	q := &memberlist.TransmitLimitedQueue{NumNodes: func() int { return nodes }, RetransmitMult: c.RetransmitMult}
	q.QueueBroadcast(message)
	copies := 0
	for q.NumQueued() > 0 {
		copies += len(take(c, q, 0))
	}
	for range (gossips + 2*probes) * c.UDPBufferSize / len(message) {
		q.QueueBroadcast(message)
	}
	sent := 0
	for range gossips {
		sent += len(take(c, q, 0))
	}
	for range probes { // a node pings and is pinged
		sent += len(take(c, q, pingBytes)) + len(take(c, q, ackBytes))
	}
	return float64(sent) / float64(copies)
}

// take takes from a queue what fits into a packet beside a ping or an answer
// of some size.
func take(c *memberlist.Config, q *memberlist.TransmitLimitedQueue, size int) [][]byte {
	return q.GetBroadcasts(compoundEachBytes+userBytes, c.UDPBufferSize-compoundBytes-size)
}

func TestGossipQueuesGrowPastTheCeilingAndNotBelow(t *testing.T) {
	for _, a := range alternatives {
		ceiling := a.ceiling(100)
		for _, load := range []float64{0.6, 1.5} {
			p := a.plan(100, ceiling*load)
			m := newGossipModel(a, p)
			m.run(p.warm + p.window)
			grew, published := m.queued(), ceiling*load*(p.warm+p.window).Seconds()
			// At 1.5 times the ceiling a third is never sent on.
			if (grew > published/6) != (load > 1) {
				t.Errorf("%s at %g times its ceiling of %.1f updates/s: %.1f of %.1f messages are queued", a.name, load, ceiling, grew, published)
			}
		}
	}
}

// TestGossipModelMeetsTheFormula: below the ceiling every node sends every
// update RetransmitMult times the logarithm of their number, and all get it.
func TestGossipModelMeetsTheFormula(t *testing.T) {
	a := alternatives[1] // tuned: the quickest
	p := a.plan(300, 50)
	m := newGossipModel(a, p)
	m.run(p.warm)
	m.figures.begin()
	m.run(p.warm + p.window)
	m.figures.end()
	m.run(p.warm + p.window + p.tail)
	if !m.figures.complete() {
		t.Errorf("%d updates did not reach everybody", m.figures.missing)
	}
	if copies := float64(m.figures.copies) / float64(m.figures.deliveries); copies < 11 || copies > 13 {
		t.Errorf("an update arrived %.2f times, want about 4 x 3", copies)
	}
}
