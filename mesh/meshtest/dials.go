package meshtest

import (
	"errors"
	"time"

	"grapevine/mesh/node"
)

// dialTimeout is how long a dial across a cut takes to fail.
const dialTimeout = 3 * time.Second

var (
	errRefused = errors.New("connection refused")
	errTimeout = errors.New("connection timed out")
	errFull    = errors.New("no space left on device")
)

// of does something later in the present life of a member.
func (m *Member) of(after time.Duration, do func(now time.Time)) {
	m.put(event{at: m.shard.clock + after, do: m.inThisLife(do)}, m)
}

func (m *Member) inThisLife(do func(now time.Time)) func() {
	life := m.life
	return func() {
		if m.life == life {
			m.fleet.Do(m, do)
		}
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
		m.ordinal++
		m.shard.moments = append(m.shard.moments, event{
			at: m.shard.clock + trip, from: m.Index, order: m.ordinal,
			do: m.inThisLife(func(now time.Time) { f.connect(m, to, d, now) }),
		})
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
	to.settle()
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
