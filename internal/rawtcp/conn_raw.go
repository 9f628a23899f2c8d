//go:build linux && !race

package rawtcp

import (
	"io"
	"net"
	"os"
	"syscall"
	"unsafe"
)

// Wrap returns conn reading and writing that way if it is a TCP connection, and
// as it is otherwise. One goroutine at a time may read from it and one write to
// it, which package tls and net/http see to.
func Wrap(c net.Conn) net.Conn {
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return c
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return c
	}
	w := &conn{TCPConn: tcp, raw: raw}
	w.reading.try, w.writing.try = w.reading.read, w.writing.write
	return w
}

// conn is a connection that was wrapped.
type conn struct {
	*net.TCPConn
	raw     syscall.RawConn
	reading operation
	writing operation
}

// operation is a read or a write under way.
type operation struct {
	rest  []byte // of the caller's buffer
	done  int
	errno syscall.Errno
	try   func(fd uintptr) bool // a method, bound once
}

// Read implements net.Conn.
func (c *conn) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	o := &c.reading
	n, err := o.run("read", b, c.raw.Read)
	if err != nil {
		return n, c.opError("read", err)
	}
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

// Write implements net.Conn.
func (c *conn) Write(b []byte) (int, error) {
	o := &c.writing
	n, err := o.run("write", b, c.raw.Write)
	if err != nil {
		return n, c.opError("write", err)
	}
	return n, nil
}

// run works one call off: wait calls try whenever the socket may be ready, until
// that returns true.
func (o *operation) run(call string, b []byte, wait func(try func(fd uintptr) bool) error) (int, error) {
	o.rest, o.done, o.errno = b, 0, 0
	err := wait(o.try)
	o.rest = nil
	if err == nil && o.errno != 0 {
		err = os.NewSyscallError(call, o.errno)
	}
	return o.done, err
}

// read reads once, and reports whether there was something to read.
func (o *operation) read(fd uintptr) bool {
	n, errno := call(syscall.SYS_READ, fd, o.rest)
	o.done, o.errno = n, errno
	return errno != syscall.EAGAIN
}

// write writes on, and reports whether that came to an end.
func (o *operation) write(fd uintptr) bool {
	for len(o.rest) > 0 {
		n, errno := call(syscall.SYS_WRITE, fd, o.rest)
		if errno == syscall.EAGAIN {
			return false
		}
		if errno != 0 {
			o.errno = errno
			return true
		}
		o.done += n
		o.rest = o.rest[n:]
	}
	return true
}

// most is how much one system call moves: little enough not to hold up a
// collection of garbage, which waits for it.
const most = 64 << 10

// call makes the system call until no signal interrupts it.
func call(trap, fd uintptr, b []byte) (int, syscall.Errno) {
	for {
		n, _, errno := syscall.RawSyscall(trap, fd, uintptr(unsafe.Pointer(&b[0])), uintptr(min(len(b), most)))
		switch errno {
		case 0:
			return int(n), 0
		case syscall.EINTR:
		default:
			return 0, errno
		}
	}
}

// opError says of an error what package net says.
func (c *conn) opError(op string, err error) error {
	if raw, ok := err.(*net.OpError); ok { //nolint:errorlint // it is package net's own, from raw
		raw.Op = op
		return raw
	}
	return &net.OpError{Op: op, Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: err}
}
