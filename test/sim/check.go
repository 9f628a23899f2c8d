package sim

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"time"

	"grapevine/fleet"
	"grapevine/mesh/meshtest"
	"grapevine/mesh/replica"
	"grapevine/mesh/wire"
)

// healed is how long the fleet may take, once everything is healed, until all
// hold the same.
const healed = 10 * time.Second

// checks watch over a history.
type checks struct {
	h *history
	// said is the hash of every block that was ever published, by its head
	// without the hash.
	said map[wire.Head]wire.Hash
	// held is the newest head that each life of a member has held of each host.
	held map[*meshtest.Member]map[fleet.HostID]wire.Head
}

func newChecks(h *history) *checks {
	c := &checks{h: h, said: map[wire.Head]wire.Hash{}, held: map[*meshtest.Member]map[fleet.HostID]wire.Head{}}
	h.fleet.Change = c.change
	return c
}

func (c *checks) started(m *meshtest.Member) { c.held[m] = map[fleet.HostID]wire.Head{} }

// change spoils what a liar writes, now and then: bytes flipped, cut off or
// invented.
func (c *checks) change(from, _ *meshtest.Member, write []byte) []byte {
	if from != c.h.liar || !c.h.lying || c.h.rng.IntN(4) > 0 {
		return write
	}
	switch c.h.rng.IntN(3) {
	case 0:
		write[c.h.rng.IntN(len(write))] ^= byte(1 + c.h.rng.IntN(255))
		return write
	case 1:
		return write[:c.h.rng.IntN(len(write))+1]
	default:
		for range 1 + c.h.rng.IntN(64) {
			write = append(write, byte(c.h.rng.Uint32()))
		}
		return write
	}
}

// now checks what holds at every moment.
func (c *checks) now() error {
	for _, m := range c.h.fleet.Nodes {
		if !m.Up {
			continue
		}
		if m.Role == fleet.RoleAgent {
			c.publishedBy(m)
		}
	}
	var errs []error
	for _, m := range c.h.fleet.Nodes {
		if m.Up {
			errs = append(errs, c.member(m))
		}
	}
	return errors.Join(errs...)
}

// publishedBy notes what a member holds of itself: what it said.
func (c *checks) publishedBy(m *meshtest.Member) {
	if b := m.Replica().Block(m.ID); b != nil {
		head := b.Head()
		hash := head.Hash
		head.Hash = wire.Hash{}
		c.said[head] = hash
	}
}

func (c *checks) member(m *meshtest.Member) error {
	for b := range m.Replica().Blocks() {
		head := b.Head()
		before, known := c.held[m][head.Host]
		switch {
		case known && before == head:
			continue // looked at already
		case known && head.Compare(&before) < 0:
			return fmt.Errorf("%d went back from %+v to %+v", m.Index, before, head)
		}
		c.held[m][head.Host] = head
		if err := whole(b); err != nil {
			return fmt.Errorf("%d holds of %s: %w", m.Index, head.Host, err)
		}
		bare := head
		bare.Hash = wire.Hash{}
		if hash, known := c.said[bare]; known && hash != head.Hash {
			return fmt.Errorf("%d holds %+v, which was never said: %s was", m.Index, head, hash)
		}
	}
	return c.bounded(m)
}

// whole works a block's hash out anew: what it holds is what its head says.
func whole(b *replica.Block) error {
	again := replica.New()
	d, _ := b.Since(wire.Head{})
	d.Form, d.Rows, d.Deletions = wire.Whole, b.Rows(), nil
	result, err := again.Apply(d, fleet.UUID{}, time.Time{})
	if result != replica.Applied {
		return fmt.Errorf("a block that is %v: %w", result, err)
	}
	return nil
}

// bounded checks that what a node's links keep is in proportion to its hosts
// and links.
func (c *checks) bounded(m *meshtest.Member) error {
	l := m.Load()
	links := m.LinkCount()
	const slack = 256
	known := l.Hosts + l.Wants
	switch {
	case l.News > 2*l.Hosts+slack, l.BeatNews > 2*l.Hosts+slack:
		return fmt.Errorf("%d keeps %+v with %d links: too much news", m.Index, l, links)
	case l.Asking > known*links+slack, l.Requests > known*links+slack, l.Open > 256*links, l.Offered > l.Wants*links:
		return fmt.Errorf("%d keeps %+v with %d links: too much on the way", m.Index, l, links)
	}
	return nil
}

// end heals the fleet and checks what must hold then.
func (c *checks) end() error {
	c.h.heal()
	if !c.h.fleet.RunUntil(healed, 50*time.Millisecond, func() bool { return c.equal() == nil }) {
		return fmt.Errorf("%v after everything was healed: %w", healed, c.equal())
	}
	return c.now()
}

// equal reports why the members that are up do not hold the same, and what
// each says of itself.
func (c *checks) equal() error {
	var first *meshtest.Member
	for _, m := range c.h.fleet.Nodes {
		if !m.Up {
			continue
		}
		if m.Failed != nil {
			return fmt.Errorf("%d gave up: %w", m.Index, m.Failed)
		}
		if first == nil {
			first = m
		}
		if a, b := first.Replica(), m.Replica(); a.Root() != b.Root() {
			return fmt.Errorf("%d and %d differ:%s", first.Index, m.Index, difference(a, b))
		}
	}
	if first == nil {
		return nil
	}
	for _, m := range c.h.fleet.Nodes {
		if m.Up && m.Role == fleet.RoleAgent {
			if err := c.tells(first.Replica(), m); err != nil {
				return err
			}
		}
	}
	return nil
}

// tells checks that what is held of a member is what it says now, no more and
// no less, hints apart.
func (c *checks) tells(r *replica.Replica, m *meshtest.Member) error {
	b := r.Block(m.ID)
	if b == nil {
		return fmt.Errorf("nothing is held of %d", m.Index)
	}
	rows := 0
	for _, row := range b.Rows() {
		if row.Kind == wire.KindHost || row.Kind == wire.KindInstance {
			rows++
		}
	}
	if rows != len(c.h.rows[m]) {
		return fmt.Errorf("of %d are held %d rows, and it says %d", m.Index, rows, len(c.h.rows[m]))
	}
	for _, own := range c.h.rows[m] {
		if row, ok := b.Row(own.Key); !ok || !bytes.HasPrefix(row.Body, own.Core) {
			return fmt.Errorf("of %d is held %q under %x, and it says %q", m.Index, row.Body, own.ID, own.Core)
		}
	}
	return nil
}

func difference(a, b *replica.Replica) string {
	var s strings.Builder
	for _, pair := range [][2]*replica.Replica{{a, b}, {b, a}} {
		for x := range pair[0].Blocks() {
			y := pair[1].Block(x.HostID())
			switch {
			case y == nil:
				fmt.Fprintf(&s, "\n  %s is missing", x.HostID())
			case y.Head() != x.Head():
				fmt.Fprintf(&s, "\n  %+v and %+v", x.Head(), y.Head())
			}
		}
	}
	return s.String()
}
