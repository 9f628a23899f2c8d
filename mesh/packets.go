package mesh

import (
	"bytes"
	"net"
	"net/netip"
	"time"

	"github.com/hashicorp/memberlist"
)

const (
	// largestPacket is what UDP carries at most.
	largestPacket = 64 << 10
	// packetRoom is for how many bytes of packets the kernel is asked to keep
	// for a member that is busy, as NetTransport does.
	packetRoom = 2 << 20
)

// roomForPackets asks for packetRoom, or for what else can be had.
func roomForPackets(socket *net.UDPConn) {
	for size := packetRoom; size > 0 && socket.SetReadBuffer(size) != nil; {
		size /= 2
	}
}

// PacketCh implements memberlist.Transport.
func (t *gossipTransport) PacketCh() <-chan *memberlist.Packet { return t.packets }

// receive hands over the packets that come in, until the transport ends. All
// are read into one buffer: most are of 200 bytes, and a new one of the largest
// size for each would be most of what an idle member allocates.
func (t *gossipTransport) receive() {
	buf := make([]byte, largestPacket)
	for {
		n, from, err := t.socket.ReadFromUDPAddrPort(buf)
		if err != nil {
			if !t.failed("read a packet", err) {
				return
			}
			continue
		}
		if n == 0 {
			continue // no message of memberlist's
		}
		from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
		packet := &memberlist.Packet{Buf: bytes.Clone(buf[:n]), From: net.UDPAddrFromAddrPort(from), Timestamp: time.Now()}
		select {
		case t.packets <- packet:
		case <-t.life.Done():
			return
		}
	}
}

// WriteToAddress implements memberlist.NodeAwareTransport.
func (t *gossipTransport) WriteToAddress(b []byte, to memberlist.Address) (time.Time, error) {
	addr, err := netip.ParseAddrPort(to.Addr)
	if err != nil { // a name
		resolved, err := net.ResolveUDPAddr("udp", to.Addr)
		if err != nil {
			return time.Time{}, err
		}
		addr = resolved.AddrPort()
	}
	_, err = t.socket.WriteToUDPAddrPort(b, addr)
	return time.Now(), err
}

// WriteTo implements memberlist.Transport.
func (t *gossipTransport) WriteTo(b []byte, addr string) (time.Time, error) {
	return t.WriteToAddress(b, memberlist.Address{Addr: addr})
}
