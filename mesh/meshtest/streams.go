package meshtest

import (
	"io"
	"time"

	"grapevine/mesh/node"
	"grapevine/mesh/wire"
)

// settle lets a member do what is due, and arms its timer.
func (m *Member) settle() {
	if !m.Up || m.frozen {
		return
	}
	now := m.now()
	due := m.Node.Due()
	for !due.After(now) {
		m.Node.Tick(now)
		due = m.Node.Due()
	}
	if at := due.Sub(m.fleet.start) - m.Skew; m.timer <= m.shard.clock || at < m.timer {
		m.timer = at
		m.put(event{at: at, rings: m}, m)
	}
	if len(m.woken) > 0 {
		m.list()
	}
}

// list puts a member's woken links up for writing.
func (m *Member) list() {
	if !m.listed {
		m.listed = true
		m.shard.dirty = append(m.shard.dirty, m)
	}
}

// write takes what woken links have to say.
func (s *shard) write() {
	for i := 0; i < len(s.dirty); i++ { // it grows meanwhile
		m := s.dirty[i]
		m.listed = false
		if m.frozen {
			m.thaw = append(m.thaw, m.list)
			continue
		}
		woken := m.woken
		m.woken = nil
		for _, l := range woken {
			if e, ok := l.Stream.(*end); ok && e.open {
				e.woken = false
				s.writeTo(e)
			}
		}
		if m.woken == nil {
			m.woken = woken[:0]
		}
	}
	s.dirty = s.dirty[:0]
}

func (s *shard) writeTo(e *end) {
	m := e.member
	for {
		var last bool
		s.msgs, last = m.Node.Collect(e.link, s.msgs[:0], m.now())
		if len(s.msgs) > 0 {
			s.send(e, s.msgs)
		}
		if last {
			closing(e)
			ended(e, nil)
			return
		}
		if len(s.msgs) == 0 {
			return
		}
	}
}

// send encodes messages into one write, which arrives after its delay.
func (s *shard) send(e *end, msgs []wire.Message) {
	var buf []byte
	if n := len(s.free); n > 0 {
		buf, s.free = s.free[n-1][:0], s.free[:n-1]
	}
	for _, msg := range msgs {
		var err error
		if buf, err = wire.AppendFrame(buf, msg); err != nil {
			panic(err)
		}
	}
	s.bytes += uint64(len(buf)) // not negative
	f, m, to := s.fleet, e.member, e.other.member
	if f.Wrote != nil {
		f.Wrote(m, msgs, len(buf))
	}
	if f.Change != nil {
		buf = f.Change(m, to, buf)
	}
	if buf == nil || f.cut[[2]int{m.Index, to.Index}] || f.opts.StreamLoss > 0 && m.rng.Float64() < f.opts.StreamLoss {
		e.stalled = true
	}
	if e.stalled {
		return
	}
	m.put(event{at: e.arrival(), to: e.other, data: buf}, to)
}

// arrival is when something written now arrives: after all that was written
// before.
func (e *end) arrival() time.Duration {
	m, opts := e.member, &e.member.fleet.opts
	at := m.shard.clock + opts.MinDelay
	if spread := opts.MaxDelay - opts.MinDelay; spread > 0 {
		at += time.Duration(m.rng.Int64N(int64(spread)))
	}
	e.last = max(at, e.last)
	return e.last
}

func (s *shard) arrive(e *end, data []byte) {
	if m := e.member; m.frozen && e.open {
		m.thaw = append(m.thaw, func() { s.arrive(e, data) })
		return
	}
	if e.open && e.member.life == e.life {
		s.take(e, data)
		e.member.settle()
	}
	if cap(data) <= 4<<10 {
		s.free = append(s.free, data)
	}
}

func (s *shard) take(e *end, data []byte) {
	m, took := e.member, s.fleet.Took
	s.arrived.Reset(data)
	for s.arrived.Len() > 0 && e.open {
		msg, _, err := s.reader.Read()
		if err != nil {
			m.Node.BrokeProtocol(e.link, err)
			s.writeTo(e)
			return
		}
		applied := uint64(0)
		answer, ok := msg.(*wire.Answer)
		if ok = ok && took != nil; ok {
			applied = m.Node.Stats().Applied
		}
		err = m.Node.Receive(e.link, msg, m.now())
		if ok {
			took(m, answer, int(m.Node.Stats().Applied-applied)) // small
		}
		if err != nil {
			s.writeTo(e) // a bye, where there is one
			if e.open {
				closing(e)
				ended(e, err)
			}
			return
		}
	}
}

// closing lets the other side see the end of the stream, behind all that was
// written.
func closing(e *end) {
	m, other := e.member, e.other
	if e.stalled || m.fleet.cut[[2]int{m.Index, other.member.Index}] {
		return
	}
	m.put(event{at: e.arrival(), do: func() {
		m.fleet.Do(other.member, func(time.Time) { ended(other, io.EOF) })
	}}, other.member)
}

func ended(e *end, err error) {
	if !e.open {
		return
	}
	e.open = false
	delete(e.member.ends, e.link)
	if e.member.life == e.life {
		e.member.Node.Ended(e.link, err, e.member.now())
	}
}

// Wake implements node.World.
func (m *Member) Wake(l *node.Link) {
	e, ok := l.Stream.(*end)
	if !ok || e.woken {
		return
	}
	e.woken = true
	m.woken = append(m.woken, l)
	m.list()
}
