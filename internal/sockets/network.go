package sockets

import (
	"context"
	"net"
)

// Network is what a node listens on and dials through: the sockets of this
// machine or, in tests of whole fleets in virtual time, a network in memory.
type Network interface {
	// Listen binds a TCP address. Key is what the operator set it with.
	Listen(key, address string) (net.Listener, error)
	// DialContext opens a stream, as net.Dialer does.
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
}

// System is the network of this machine.
type System struct{ net.Dialer }

var _ Network = (*System)(nil)

// Listen implements Network.
func (*System) Listen(key, address string) (net.Listener, error) { return Listen(key, address) }
