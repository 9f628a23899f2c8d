package mesh

import (
	"slices"
	"time"

	"grapevine/mesh/meshtest"
	"grapevine/mesh/wire"
)

// spreadSeen is what one shard of a fleet saw. Shards run side by side, and the
// figures want what comes in the order of time: they are told in between.
type spreadSeen struct {
	delivered           []spreadDelivery
	copies              int
	bytes, beats, heads int
	_                   [64]byte // the next shard's are written to by another processor
}

// spreadDelivery is that a node has a host's nth update, and all before it.
type spreadDelivery struct {
	at                time.Duration
	node, origin, nth int32
}

// tellEvery is how long the fleet runs before the figures are told.
const tellEvery = time.Millisecond

// tell runs the fleet for so long and tells the figures what came of it.
func (s *spreadFleet) tell(d time.Duration) {
	for end := s.Clock() + d; s.Clock() < end; {
		s.Run(min(tellEvery, end-s.Clock()))
		s.gather()
	}
}

func (s *spreadFleet) gather() {
	all := s.seen[0].delivered
	for i := range s.seen {
		seen := &s.seen[i]
		s.figures.copied(seen.copies)
		s.figures.wire(seen.bytes)
		if s.figures.measuring {
			s.beats += int64(seen.beats)
			s.heads += int64(seen.heads)
		}
		if i > 0 {
			all = append(all, seen.delivered...)
		}
		*seen = spreadSeen{delivered: seen.delivered[:0]}
	}
	slices.SortFunc(all, func(a, b spreadDelivery) int { return int(a.at - b.at) })
	for _, d := range all {
		s.figures.deliveredUpTo(d.at, int(d.node), int(d.origin), int(d.nth))
	}
	s.seen[0].delivered = all[:0]
}

// wrote counts bytes; signs of life apart.
func (s *spreadFleet) wrote(m *meshtest.Member, msgs []wire.Message, bytes int) {
	seen := &s.seen[m.Shard()]
	for _, msg := range msgs {
		switch msg := msg.(type) {
		case *wire.Beats, *wire.Pulse, *wire.Peers:
			frame, err := wire.AppendFrame(nil, msg)
			if err != nil {
				panic(err)
			}
			bytes -= len(frame)
			seen.beats += len(frame)
		case *wire.Answer:
			seen.heads += len(msg.Deltas) * headBytes
		}
	}
	seen.bytes += bytes
}

// headBytes is what a head takes in a delta of changes: seq, count and hash.
const headBytes = 2 + 1 + 16

func (s *spreadFleet) took(m *meshtest.Member, answer *wire.Answer, applied int) {
	seen := &s.seen[m.Shard()]
	seen.copies += len(answer.Deltas)
	if applied != len(answer.Deltas) {
		return // what was refused or old is no delivery; the run fails if it never comes
	}
	for i := range answer.Deltas {
		head := &answer.Deltas[i].Head
		seen.delivered = append(seen.delivered, spreadDelivery{ // one seq for each update
			m.Clock() - s.began, int32(m.Index), int32(s.index[head.Host]), int32(head.Seq) - s.before,
		})
	}
}
