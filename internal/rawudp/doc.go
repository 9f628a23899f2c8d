// Package rawudp has UDP sockets that read and write without telling Go's
// scheduler, for the same reason and in the same way as package rawtcp: who
// lives of small packets would otherwise spend much of its time on being
// watched.
package rawudp

import "net/netip"

// Conn is a UDP socket. Any number of goroutines may use it at a time.
type Conn interface {
	// ReadFromUDPAddrPort waits for a packet and copies it to b; what does not
	// fit is lost.
	ReadFromUDPAddrPort(b []byte) (int, netip.AddrPort, error)
	// WriteToUDPAddrPort sends a packet.
	WriteToUDPAddrPort(b []byte, addr netip.AddrPort) (int, error)
	Close() error
}
