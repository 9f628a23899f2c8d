package xenlab

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// Relay is a unix socket that leads to the host's libvirt, as if it were that
// of the machine that the test runs on.
type Relay struct {
	host     *Host
	path     string
	mu       sync.Mutex
	listener net.Listener // nil while it is cut
	open     map[net.Conn]struct{}
	running  sync.WaitGroup
}

// Relay opens such a socket. It is closed with the test.
func (h *Host) Relay(tb testing.TB) *Relay {
	tb.Helper()
	dir, err := os.MkdirTemp("", "gv-xen-") //nolint:usetesting // the test's own folder has too long a name for unix sockets
	if err != nil {
		tb.Fatal(err)
	}
	r := &Relay{host: h, path: filepath.Join(dir, "libvirt"), open: map[net.Conn]struct{}{}}
	tb.Cleanup(func() {
		r.Cut()
		r.running.Wait()
		if err := os.RemoveAll(dir); err != nil {
			tb.Error(err)
		}
	})
	r.Restore(tb)
	return r
}

// Path is where the socket is.
func (r *Relay) Path() string { return r.path }

// Restore lets connections through, from the beginning or after a Cut.
func (r *Relay) Restore(tb testing.TB) {
	tb.Helper()
	l, err := net.Listen("unix", r.path) //nolint:noctx // it ends with the test
	if err != nil {
		tb.Fatal(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.listener = l
	r.running.Go(func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			r.running.Go(func() { r.carry(l, near) })
		}
	})
}

// Cut hangs up on everybody and takes nobody any more.
func (r *Relay) Cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.listener != nil {
		_ = r.listener.Close()
		r.listener = nil
	}
	for conn := range r.open {
		_ = conn.Close()
	}
}

// carry takes one connection that this listener accepted to the host and back.
func (r *Relay) carry(l net.Listener, near net.Conn) {
	far, err := r.host.Dial()
	if err != nil {
		_ = near.Close()
		return
	}
	if !r.hold(l, near, far) {
		return
	}
	var both sync.WaitGroup
	for to, from := range map[net.Conn]net.Conn{near: far, far: near} {
		both.Go(func() {
			_, _ = io.Copy(to, from)
			_ = to.Close() // whoever hangs up hangs up on both
			_ = from.Close()
		})
	}
	both.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.open, near)
	delete(r.open, far)
}

// hold remembers the connections, to be cut, or closes them where that has
// happened since.
func (r *Relay) hold(l net.Listener, conns ...net.Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range conns {
		if r.listener == l {
			r.open[c] = struct{}{}
		} else {
			_ = c.Close()
		}
	}
	return r.listener == l
}
