package libvirtcut

import (
	"net"
	"sync"
	"testing"
)

// Relay passes on what a program and its libvirtd say to each other.
type Relay struct {
	// Socket is where the program connects to.
	Socket string
	daemon string
	mu     sync.Mutex
	trap   *trap
	// stopped is the connection on which nothing passes any more.
	stopped net.Conn
	calls   []Procedure
}

// Point is a step of what a program does: a call, before libvirtd hears of it,
// or after it was done and before the program hears of that.
type Point struct {
	Procedure Procedure
	After     bool
}

// trap is a point that is waited for.
type trap struct {
	Point
	line   net.Conn // on which the call came that is being answered
	serial uint32
	sprung chan struct{}
}

// Listen starts a relay at socket, before the libvirtd at daemon. It ends with
// the test.
func Listen(tb testing.TB, socket, daemon string) *Relay {
	tb.Helper()
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket})
	if err != nil {
		tb.Fatal(err)
	}
	r := &Relay{Socket: socket, daemon: daemon}
	go func() {
		for {
			program, err := listener.Accept()
			if err != nil {
				return
			}
			go r.carry(program)
		}
	}()
	tb.Cleanup(func() { _ = listener.Close() })
	return r
}

// Arm waits for the next time that the program comes by the point. The channel
// is closed then, and nothing passes on that connection any more, until the
// program hangs up or dies.
func (r *Relay) Arm(at Point) <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.trap = &trap{Point: at, sprung: make(chan struct{})}
	return r.trap.sprung
}

// Changes returns the calls that changed something, or were to, since it was
// last asked; the one before which the relay stopped among them.
func (r *Relay) Changes() []Procedure {
	r.mu.Lock()
	defer r.mu.Unlock()
	calls := r.calls
	r.calls = nil
	return calls
}

// carry passes one connection's packets on, both ways, until either end hangs
// up.
func (r *Relay) carry(program net.Conn) {
	daemon, err := net.Dial("unix", r.daemon) //nolint:noctx // a unix socket answers or refuses
	if err != nil {
		_ = program.Close()
		return
	}
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{program, daemon}, {daemon, program}} {
		both.Go(func() {
			r.pass(way[0], way[1], program)
			_ = program.Close()
			_ = daemon.Close()
		})
	}
	both.Wait()
}

// pass passes packets on until the connection ends, or the trap is sprung.
func (r *Relay) pass(from, to, program net.Conn) {
	for {
		packet, h, err := readPacket(from)
		if err != nil {
			return
		}
		if !r.passes(h, program) {
			continue
		}
		if _, err := to.Write(packet); err != nil {
			return
		}
	}
}

// passes reports whether a packet may go on, and springs the trap if it is the
// one to stop at.
func (r *Relay) passes(h head, program net.Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stopped == program {
		return false
	}
	if h.program != remoteProgram {
		return true
	}
	if h.kind == call && h.procedure.Changes() {
		r.calls = append(r.calls, h.procedure)
	}
	if r.trap == nil || !r.trap.here(h, program) {
		return true
	}
	close(r.trap.sprung)
	r.trap, r.stopped = nil, program
	return false
}

// here reports whether this packet is the one to stop at.
func (at *trap) here(h head, program net.Conn) bool {
	if at.line != nil {
		return h.kind == reply && h.serial == at.serial && at.line == program
	}
	if h.kind != call || h.procedure != at.Procedure {
		return false
	}
	if at.After {
		at.line, at.serial = program, h.serial
	}
	return !at.After
}
