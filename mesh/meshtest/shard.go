package meshtest

import (
	"bytes"
	"time"

	"grapevine/mesh/wire"
)

// shard is a part of a fleet's members, with all that its events touch but the
// members themselves, so that it runs beside the others.
type shard struct {
	fleet  *Fleet
	index  int
	clock  time.Duration
	events queue
	// What its members caused for the members of each other shard, and for the
	// fleet as a whole; the others get to see it between two windows.
	out     [][]event
	moments []event

	dirty   []*Member // those with links to be written to
	bytes   uint64    // written to streams
	free    [][]byte  // to write into
	msgs    []wire.Message
	arrived bytes.Reader // what is being read
	reader  *wire.Reader // of arrived
}

func newShard(f *Fleet, index int) *shard {
	s := &shard{fleet: f, index: index, out: make([][]event, f.opts.Shards)}
	s.events.lanes = make([]lane, f.opts.Shards)
	s.reader = wire.NewReader(&s.arrived)
	return s
}

// put puts an event that m causes where those of another member are.
func (m *Member) put(e event, of *Member) {
	m.ordinal++
	e.from, e.order = m.Index, m.ordinal
	if s := m.shard; of.shard == s {
		s.events.put(e, s.index)
	} else {
		s.out[of.shard.index] = append(s.out[of.shard.index], e)
	}
}

// fetch takes in what another shard has for this one.
func (s *shard) fetch(from *shard) {
	out := from.out[s.index]
	for _, e := range out {
		s.events.put(e, from.index)
	}
	clear(out)
	from.out[s.index] = out[:0]
}

// run works off all that happens to the shard's members before a moment.
func (s *shard) run(end time.Duration) {
	for e, ok := s.events.next(end); ok; e, ok = s.events.next(end) {
		s.clock = e.at
		switch {
		case e.to != nil:
			s.arrive(e.to, e.data)
		case e.rings != nil:
			if m := e.rings; m.timer == e.at { // it was not armed anew
				m.timer = 0
				m.settle()
			}
		default:
			e.do()
		}
		s.write()
	}
}
