package replica

import (
	"slices"
	"sync/atomic"

	"grapevine/fleet"
)

// changesKept is how many changes a reader may be behind before it has to look
// at all hosts again.
const changesKept = 4096

// changes tells readers which hosts changed. It is a ring of hosts' numbers
// that grows up to changesKept: the writer never waits for a reader, and a
// reader that is too slow learns so.
type changes struct {
	count atomic.Uint64
	ring  atomic.Pointer[[]atomic.Uint32] // change n is at n modulo its length
	next  atomic.Pointer[chan struct{}]   // nil while nobody waits
}

func (c *changes) add(host uint16) {
	n := c.count.Load() + 1
	ring := c.ring.Load()
	if ring == nil || n >= uint64(len(*ring)) && len(*ring) < changesKept {
		ring = c.grow(ring, n)
	}
	(*ring)[n%uint64(len(*ring))].Store(uint32(host))
	c.count.Store(n)
	if ch := c.next.Swap(nil); ch != nil {
		close(*ch)
	}
}

// grow makes a larger ring, with the changes before n in it.
func (c *changes) grow(old *[]atomic.Uint32, n uint64) *[]atomic.Uint32 {
	size := uint64(16)
	if old != nil {
		size = 2 * uint64(len(*old))
	}
	ring := make([]atomic.Uint32, size)
	for i := uint64(1); i < n; i++ { // the old one was never overrun
		ring[i%size].Store((*old)[i%uint64(len(*old))].Load())
	}
	c.ring.Store(&ring)
	return &ring
}

// Changed returns a channel that is closed at the next change of any block. To
// wait for a condition without missing a change, take the channel, then test
// the condition, then wait.
func (r *Replica) Changed() <-chan struct{} {
	for {
		if ch := r.changes.next.Load(); ch != nil {
			return *ch
		}
		ch := make(chan struct{})
		if r.changes.next.CompareAndSwap(nil, &ch) {
			return ch
		}
	}
}

// ChangedSince returns the hosts that changed after change number n, each once
// and in no order, and the number of the last change. Start with 0; a reader
// that is too far behind gets all hosts.
func (r *Replica) ChangedSince(n uint64) (changed []fleet.HostID, last uint64) {
	last = r.changes.count.Load()
	if last <= n {
		return nil, last
	}
	ring := r.changes.ring.Load()
	size := uint64(len(*ring))
	if last-n >= size {
		return r.all(), last
	}
	numbers := make([]uint32, 0, last-n)
	for i := n + 1; i <= last; i++ {
		numbers = append(numbers, (*ring)[i%size].Load())
	}
	if r.changes.count.Load()-n >= size {
		return r.all(), last // overtaken by the writer while reading
	}
	slices.Sort(numbers)
	hosts := r.hosts.all()
	for _, number := range slices.Compact(numbers) {
		changed = append(changed, hosts[number].id)
	}
	return changed, last
}

func (r *Replica) all() []fleet.HostID {
	hosts := r.hosts.all()
	ids := make([]fleet.HostID, len(hosts))
	for i, e := range hosts {
		ids[i] = e.id
	}
	return ids
}
