// Package crowd counts who is inside, so that nobody takes all the room.
package crowd

import (
	"net"
	"net/netip"
	"sync"
)

// Crowd lets in at most All at once, of whom at most Each come from one
// address. Its methods may be called at once.
type Crowd struct {
	All, Each int

	mu     sync.Mutex
	inside int
	from   map[string]int // never zero
}

// Enter lets one in, unless there is no room. Where it does, Leave must be
// called once with the same address.
func (c *Crowd) Enter(addr net.Addr) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	from := origin(addr)
	if c.inside >= c.All || c.from[from] >= c.Each {
		return false
	}
	if c.from == nil {
		c.from = map[string]int{}
	}
	c.inside++
	c.from[from]++
	return true
}

// Leave takes one out whom Enter let in.
func (c *Crowd) Leave(addr net.Addr) {
	c.mu.Lock()
	defer c.mu.Unlock()
	from := origin(addr)
	c.inside--
	if c.from[from]--; c.from[from] <= 0 {
		delete(c.from, from)
	}
}

// Inside returns how many are inside.
func (c *Crowd) Inside() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.inside
}

// homeBits is how much of an IPv6 address tells one home from another: whoever
// has one address has all of its /64.
const homeBits = 64

// origin is the part of an address by which visitors are told apart.
func origin(addr net.Addr) string {
	host, _, err := net.SplitHostPort(addr.String())
	if err != nil {
		return addr.String() // a unix socket
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return host
	}
	if ip = ip.Unmap().WithZone(""); ip.Is6() {
		home, _ := ip.Prefix(homeBits) // an IPv6 address has so many bits
		return home.String()
	}
	return ip.String()
}
