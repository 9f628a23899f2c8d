//go:build linux && !race && !386 && !s390x

package rawudp

import (
	"encoding/binary"
	"net/netip"
	"strconv"
	"syscall"
)

// address is a socket's address as the kernel has it: a struct sockaddr_in or
// sockaddr_in6.
type address struct {
	bytes  [syscall.SizeofSockaddrInet6]byte
	length uint32
}

// Where the parts of both structures are. The family is in the machine's own
// order of bytes, all else in the network's.
const (
	atPort  = 2
	at4     = 4
	at6     = 8
	atScope = 24
)

// set makes it addr, for a socket of IPv6 or IPv4. It returns false where that
// is none for such a socket, or is one with a zone.
func (a *address) set(addr netip.AddrPort, six bool) bool {
	ip := addr.Addr()
	if !ip.IsValid() || ip.Zone() != "" || !six && !ip.Unmap().Is4() {
		return false
	}
	*a = address{}
	binary.BigEndian.PutUint16(a.bytes[atPort:], addr.Port())
	if six {
		a.begin(syscall.AF_INET6, syscall.SizeofSockaddrInet6)
		as16 := ip.As16()
		copy(a.bytes[at6:], as16[:])
		return true
	}
	a.begin(syscall.AF_INET, syscall.SizeofSockaddrInet4)
	as4 := ip.Unmap().As4()
	copy(a.bytes[at4:], as4[:])
	return true
}

func (a *address) begin(family uint16, length uint32) {
	binary.NativeEndian.PutUint16(a.bytes[:], family)
	a.length = length
}

// get returns the address, the zero one where it is of neither family. A zone is
// the number of its interface.
func (a *address) get() netip.AddrPort {
	var ip netip.Addr
	switch binary.NativeEndian.Uint16(a.bytes[:]) {
	case syscall.AF_INET:
		ip = netip.AddrFrom4([4]byte(a.bytes[at4:]))
	case syscall.AF_INET6:
		ip = netip.AddrFrom16([16]byte(a.bytes[at6:]))
		if scope := binary.NativeEndian.Uint32(a.bytes[atScope:]); scope != 0 {
			ip = ip.WithZone(strconv.FormatUint(uint64(scope), 10))
		}
	default:
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(ip, binary.BigEndian.Uint16(a.bytes[atPort:]))
}
