//go:build linux && !race && !386 && !s390x

package rawudp

import (
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"unsafe"
)

// Wrap returns c reading and writing that way.
func Wrap(c *net.UDPConn) Conn {
	raw, err := c.SyscallConn()
	if err != nil {
		return c
	}
	w := &conn{UDPConn: c, raw: raw}
	if err := raw.Control(func(fd uintptr) { w.six = isSix(int(fd)) }); err != nil {
		return c
	}
	w.reading.try, w.writing.try = w.reading.receive, w.writing.send
	return w
}

// isSix reports whether a socket is of IPv6, where addresses of IPv4 are mapped.
func isSix(fd int) bool {
	addr, err := syscall.Getsockname(fd)
	if err != nil {
		return false
	}
	_, six := addr.(*syscall.SockaddrInet6)
	return six
}

// conn is a socket that was wrapped.
type conn struct {
	*net.UDPConn
	raw              syscall.RawConn
	six              bool
	reading, writing operation
}

// operation is one packet on its way.
type operation struct {
	mu     sync.Mutex // held from beginning to end
	packet []byte
	addr   address
	done   int
	errno  syscall.Errno
	try    func(fd uintptr) bool // a method, bound once
}

// ReadFromUDPAddrPort implements Conn.
func (c *conn) ReadFromUDPAddrPort(b []byte) (int, netip.AddrPort, error) {
	o := &c.reading
	o.mu.Lock()
	defer o.mu.Unlock()
	o.addr = address{}
	n, err := o.run("recvfrom", b, c.raw.Read)
	if err != nil {
		return 0, netip.AddrPort{}, c.opError("read", nil, err)
	}
	return n, o.addr.get(), nil
}

// WriteToUDPAddrPort implements Conn.
func (c *conn) WriteToUDPAddrPort(b []byte, to netip.AddrPort) (int, error) {
	o := &c.writing
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.addr.set(to, c.six) {
		return c.UDPConn.WriteToUDPAddrPort(b, to) // which knows about zones, and what is wrong otherwise
	}
	n, err := o.run("sendto", b, c.raw.Write)
	if err != nil {
		return 0, c.opError("write", net.UDPAddrFromAddrPort(to), err)
	}
	return n, nil
}

// run works one call off: wait calls try whenever the socket may be ready, until
// that returns true.
func (o *operation) run(call string, b []byte, wait func(try func(fd uintptr) bool) error) (int, error) {
	o.packet, o.done, o.errno = b, 0, 0
	err := wait(o.try)
	o.packet = nil
	if err == nil && o.errno != 0 {
		err = os.NewSyscallError(call, o.errno)
	}
	return o.done, err
}

// receive reports whether there was a packet.
func (o *operation) receive(fd uintptr) bool {
	o.addr.length = uint32(len(o.addr.bytes))
	for {
		n, _, errno := syscall.RawSyscall6(syscall.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(unsafe.SliceData(o.packet))), uintptr(len(o.packet)),
			0, uintptr(unsafe.Pointer(&o.addr.bytes)), uintptr(unsafe.Pointer(&o.addr.length)))
		if errno != syscall.EINTR {
			return o.ended(n, errno)
		}
	}
}

// send reports whether the packet went out, or cannot.
func (o *operation) send(fd uintptr) bool {
	for {
		n, _, errno := syscall.RawSyscall6(syscall.SYS_SENDTO, fd, uintptr(unsafe.Pointer(unsafe.SliceData(o.packet))), uintptr(len(o.packet)),
			0, uintptr(unsafe.Pointer(&o.addr.bytes)), uintptr(o.addr.length))
		if errno != syscall.EINTR {
			return o.ended(n, errno)
		}
	}
}

// ended notes what came of a call, and reports whether it did something.
func (o *operation) ended(n uintptr, errno syscall.Errno) bool {
	if o.errno = errno; errno == 0 {
		o.done = int(n)
	}
	return errno != syscall.EAGAIN
}

// opError says of an error what package net says.
func (c *conn) opError(op string, to net.Addr, err error) error {
	if raw, ok := err.(*net.OpError); ok { //nolint:errorlint // it is package net's own, from raw
		raw.Op = op
		return raw
	}
	return &net.OpError{Op: op, Net: "udp", Source: c.LocalAddr(), Addr: to, Err: err}
}
