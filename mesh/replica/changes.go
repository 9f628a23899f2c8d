package replica

import (
	"sync/atomic"

	"grapevine/fleet"
)

// changesKept is how many changes a reader may be behind before it has to look
// at all hosts again.
const changesKept = 4096

// changes tells readers which hosts changed. It is a ring: the writer never
// waits for a reader, and a reader that is too slow learns so.
type changes struct {
	count atomic.Uint64
	ring  [changesKept]atomic.Pointer[change]
	next  atomic.Pointer[chan struct{}]
}

type change struct {
	number uint64 // from 1
	host   fleet.HostID
}

func (c *changes) init() {
	ch := make(chan struct{})
	c.next.Store(&ch)
}

func (c *changes) add(host fleet.HostID) {
	n := c.count.Load() + 1
	c.ring[n%changesKept].Store(&change{number: n, host: host})
	c.count.Store(n)
	ch := make(chan struct{})
	close(*c.next.Swap(&ch))
}

// Changed returns a channel that is closed at the next change of any block. To
// wait for a condition without missing a change, take the channel, then test
// the condition, then wait.
func (r *Replica) Changed() <-chan struct{} { return *r.changes.next.Load() }

// ChangedSince returns the hosts that changed after change number n, each once
// and in no order, and the number of the last change. Start with 0; a reader
// that is too far behind gets all hosts.
func (r *Replica) ChangedSince(n uint64) (hosts []fleet.HostID, last uint64) {
	last = r.changes.count.Load()
	seen := map[fleet.HostID]bool{}
	for number := n + 1; number <= last && last-n <= changesKept; number++ {
		c := r.changes.ring[number%changesKept].Load()
		if c == nil || c.number != number {
			return r.all(), last // overtaken by the writer while reading
		}
		if !seen[c.host] {
			seen[c.host] = true
			hosts = append(hosts, c.host)
		}
	}
	if last > n && last-n > changesKept {
		return r.all(), last
	}
	return hosts, last
}

func (r *Replica) all() []fleet.HostID {
	hosts := make([]fleet.HostID, 0, r.Len())
	for b := range r.Blocks() {
		hosts = append(hosts, b.head.Host)
	}
	return hosts
}
