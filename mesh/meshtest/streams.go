package meshtest

import (
	"errors"
	"io"
	"time"

	"grapevine/mesh/node"
	"grapevine/mesh/wire"
)

// dialTimeout is how long a dial across a cut takes to fail.
const dialTimeout = 3 * time.Second

var (
	errRefused = errors.New("connection refused")
	errTimeout = errors.New("connection timed out")
	errFull    = errors.New("no space left on device")
)

// Run works off all that happens for so long.
func (f *Fleet) Run(d time.Duration) {
	until := f.clock + d
	for {
		e, ok := f.events.next(until)
		if !ok {
			break
		}
		f.clock = e.at
		switch {
		case e.to != nil:
			f.arrive(e.to, e.data)
		case e.rings != nil:
			if m := e.rings; m.life == e.life && m.timer == e.at {
				m.timer = 0
				f.settle(m)
			}
		default:
			e.do()
		}
		f.write()
	}
	f.clock = until
}

// RunUntil runs in steps until ok, and reports false after limit.
func (f *Fleet) RunUntil(limit, step time.Duration, ok func() bool) bool {
	for end := f.clock + limit; f.clock < end; {
		if ok() {
			return true
		}
		f.Run(step)
	}
	return ok()
}

// At does something later.
func (f *Fleet) At(after time.Duration, do func()) { f.events.put(event{at: f.clock + after, do: do}) }

// of does something later in the present life of a member.
func (m *Member) of(after time.Duration, do func(now time.Time)) {
	life := m.life
	m.fleet.At(after, func() {
		if m.life == life {
			m.fleet.Do(m, do)
		}
	})
}

// settle lets a member do what is due, and arms its timer.
func (f *Fleet) settle(m *Member) {
	if !m.Up || m.frozen {
		return
	}
	now := m.now()
	due := m.Node.Due()
	for !due.After(now) {
		m.Node.Tick(now)
		due = m.Node.Due()
	}
	if at := due.Sub(f.start) - m.Skew; m.timer <= f.clock || at < m.timer {
		m.timer = at
		f.events.put(event{at: at, rings: m, life: m.life})
	}
	if !m.listed && len(m.woken) > 0 {
		m.listed = true
		f.dirty = append(f.dirty, m)
	}
}

// write takes what woken links have to say.
func (f *Fleet) write() {
	for i := 0; i < len(f.dirty); i++ { // it grows meanwhile
		m := f.dirty[i]
		m.listed = false
		if m.frozen {
			m.thaw = append(m.thaw, func() { f.relist(m) })
			continue
		}
		woken := m.woken
		m.woken = nil
		for _, l := range woken {
			if e, ok := l.Stream.(*end); ok && e.open {
				e.woken = false
				f.writeTo(m, e)
			}
		}
		if m.woken == nil {
			m.woken = woken[:0]
		}
	}
	f.dirty = f.dirty[:0]
}

// relist puts a member's woken links up for writing again.
func (f *Fleet) relist(m *Member) {
	if !m.listed {
		m.listed = true
		f.dirty = append(f.dirty, m)
	}
}

func (f *Fleet) writeTo(m *Member, e *end) {
	for {
		var last bool
		f.msgs, last = m.Node.Collect(e.link, f.msgs[:0], m.now())
		if len(f.msgs) > 0 {
			f.send(m, e, f.msgs)
		}
		if last {
			f.closing(e)
			f.ended(e, nil)
			return
		}
		if len(f.msgs) == 0 {
			return
		}
	}
}

// send encodes messages into one write, which arrives after its delay.
func (f *Fleet) send(m *Member, e *end, msgs []wire.Message) {
	var buf []byte
	if n := len(f.free); n > 0 {
		buf, f.free = f.free[n-1][:0], f.free[:n-1]
	}
	for _, msg := range msgs {
		var err error
		if buf, err = wire.AppendFrame(buf, msg); err != nil {
			panic(err)
		}
	}
	f.bytes += uint64(len(buf)) // not negative
	if f.Wrote != nil {
		f.Wrote(m, msgs, len(buf))
	}
	to := e.other.member
	if f.Change != nil {
		buf = f.Change(m, to, buf)
	}
	if buf == nil || f.cut[[2]int{m.Index, to.Index}] || f.opts.StreamLoss > 0 && f.rng.Float64() < f.opts.StreamLoss {
		e.stalled = true
	}
	if e.stalled {
		return
	}
	f.events.put(event{at: f.arrival(e), to: e.other, data: buf})
}

// arrival is when something written now arrives: after all that was written
// before.
func (f *Fleet) arrival(e *end) time.Duration {
	at := f.clock + f.opts.MinDelay
	if spread := f.opts.MaxDelay - f.opts.MinDelay; spread > 0 {
		at += time.Duration(f.rng.Int64N(int64(spread)))
	}
	e.last = max(at, e.last)
	return e.last
}

func (f *Fleet) arrive(e *end, data []byte) {
	if m := e.member; m.frozen && e.open {
		m.thaw = append(m.thaw, func() { f.arrive(e, data) })
		return
	}
	if e.open && e.member.life == e.life {
		f.take(e, data)
		f.settle(e.member)
	}
	if cap(data) <= 4<<10 {
		f.free = append(f.free, data)
	}
}

func (f *Fleet) take(e *end, data []byte) {
	m := e.member
	f.arrived.Reset(data)
	for f.arrived.Len() > 0 && e.open {
		msg, _, err := f.reader.Read()
		if err != nil {
			m.Node.BrokeProtocol(e.link, err)
			f.writeTo(m, e)
			return
		}
		applied := uint64(0)
		answer, ok := msg.(*wire.Answer)
		if ok = ok && f.Took != nil; ok {
			applied = m.Node.Stats().Applied
		}
		err = m.Node.Receive(e.link, msg, m.now())
		if ok {
			f.Took(m, answer, int(m.Node.Stats().Applied-applied)) // small
		}
		if err != nil {
			f.writeTo(m, e) // a bye, where there is one
			if e.open {
				f.closing(e)
				f.ended(e, err)
			}
			return
		}
	}
}

// closing lets the other side see the end of the stream, behind all that was
// written.
func (f *Fleet) closing(e *end) {
	if e.stalled || f.cut[[2]int{e.member.Index, e.other.member.Index}] {
		return
	}
	at, other := f.arrival(e), e.other
	f.At(at-f.clock, func() {
		f.Do(other.member, func(time.Time) { f.ended(other, io.EOF) })
	})
}

func (f *Fleet) ended(e *end, err error) {
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
	if !m.listed {
		m.listed = true
		m.fleet.dirty = append(m.fleet.dirty, m)
	}
}

// Dial implements node.World.
func (m *Member) Dial(d *node.Dial) {
	f := m.fleet
	fail := func(after time.Duration, err error) {
		m.of(after, func(now time.Time) { m.Node.Dialled(d, err, now) })
	}
	to := f.address[d.Addresses[0]]
	trip := 2*f.opts.MinDelay + 1
	switch {
	case f.cut[[2]int{m.Index, to.Index}] || f.cut[[2]int{to.Index, m.Index}]:
		fail(dialTimeout, errTimeout)
	case to.frozen:
		fail(dialTimeout, errTimeout)
	case !to.Up:
		fail(trip, errRefused)
	default:
		m.of(trip, func(now time.Time) { f.connect(m, to, d, now) })
	}
}

func (f *Fleet) connect(m, to *Member, d *node.Dial, now time.Time) {
	var theirs *node.Link
	if to.Up {
		theirs = to.Node.Accepted(m.ID, to.now())
	}
	if theirs == nil {
		m.Node.Dialled(d, errRefused, now)
		return
	}
	ours := m.Node.Dialled(d, nil, now)
	a, b := &end{member: m, life: m.life, link: ours, open: true}, &end{member: to, life: to.life, link: theirs, open: true}
	a.other, b.other = b, a
	to.ends[theirs] = b
	theirs.Stream = b
	if ours == nil {
		b.open = false
		delete(to.ends, theirs)
		to.Node.Ended(theirs, errRefused, to.now())
		return
	}
	m.ends[ours] = a
	ours.Stream = a
	f.settle(to)
	m.Wake(ours)
}

// StoreEpoch implements node.World.
func (m *Member) StoreEpoch(epoch, _ uint64) {
	m.of(time.Millisecond, func(now time.Time) {
		if m.DiskFull {
			m.Node.EpochStored(errFull, now)
			return
		}
		m.epoch = epoch
		m.Node.EpochStored(nil, now)
	})
}

// Join implements node.World: gossip is what See says.
func (m *Member) Join(string) {}

// Fail implements node.World.
func (m *Member) Fail(err error) { m.Failed = err }
