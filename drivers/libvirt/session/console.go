package session

import (
	"context"
	"io"
	"sync"
	"time"

	golibvirt "github.com/digitalocean/go-libvirt"
	"github.com/digitalocean/go-libvirt/socket"
)

// Of libvirt's remote protocol, what a console needs.
const (
	procOpenConsole = 201
	consoleForce    = 1 // VIR_DOMAIN_CONSOLE_FORCE
	// farewell is how long the daemon may take to let go of a console.
	farewell = 2 * time.Second
)

// OpenConsole opens a domain's first serial console, of which libvirt keeps one
// holder at a time; force sends another away. It holds a connection of its own
// until it is closed. Ctx bounds the opening.
func (s *Session) OpenConsole(ctx context.Context, dom golibvirt.Domain, force bool) (io.ReadWriteCloser, error) {
	t, err := s.openStream(ctx)
	if err != nil {
		return nil, err
	}
	flags := uint32(0)
	if force {
		flags = consoleForce
	}
	err = t.guard(ctx, dialLimit, func() error {
		_, err := t.call(procOpenConsole, domainArgs(dom).u32(0).u32(flags)) // no name: the first
		return err
	})
	if err != nil {
		t.hangUp()
		return nil, err
	}
	return &console{stream: t, over: make(chan struct{})}, nil
}

// domainArgs is a domain as the protocol names it.
func domainArgs(dom golibvirt.Domain) xdr {
	return append(xdr{}.str(dom.Name), dom.UUID[:]...).u32(uint32(dom.ID))
}

// console is a stream of both directions. The daemon takes no more of what is
// typed than the guest does, and reads no more of it than we take.
type console struct {
	*stream
	rest []byte
	last sync.Once
	over chan struct{} // closed when the daemon has sent the stream's end
	shut sync.Once
}

// Read implements io.Reader.
func (c *console) Read(p []byte) (int, error) {
	for len(c.rest) == 0 {
		said, err := c.next(socket.Stream)
		switch {
		case err != nil:
			c.ended()
			return 0, consoleEnd(err)
		case said.Status == socket.StatusOK, len(said.payload) == 0:
			c.ended()
			return 0, io.EOF
		}
		c.rest = said.payload
	}
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

// consoleEnd is the end of a console as the contract has it. Libvirt breaks the
// stream off when the machine stops or another takes the console.
func consoleEnd(err error) error {
	if IsCode(err, golibvirt.ErrRPC) || IsCode(err, golibvirt.ErrInternalError) || IsCode(err, golibvirt.ErrSystemError) {
		return io.EOF
	}
	return translate(err)
}

func (c *console) ended() { c.last.Do(func() { close(c.over) }) }

// Write implements io.Writer.
func (c *console) Write(p []byte) (int, error) {
	for done := 0; done < len(p); {
		part := p[done:min(done+streamChunk, len(p))]
		if err := c.sock.SendPacket(c.serial, c.proc, remoteProgram, part, socket.Stream, socket.StatusContinue); err != nil {
			return done, translate(err)
		}
		done += len(part)
	}
	return len(p), nil
}

// Close lets go of the console, so that it is free when Close returns, and hangs
// up.
func (c *console) Close() error {
	c.shut.Do(func() {
		stop := time.AfterFunc(farewell, func() { _ = c.stream.Close() })
		defer stop.Stop()
		if c.sock.SendPacket(c.serial, c.proc, remoteProgram, nil, socket.Stream, socket.StatusError) == nil {
			c.drain()
		}
		c.hangUp()
	})
	return nil
}

// drain takes what is still on its way, beside a Read that may do so too, until
// the daemon confirms the end.
func (c *console) drain() {
	for {
		select {
		case said := <-c.in:
			if said.Serial == c.serial && said.Status != socket.StatusContinue {
				return
			}
		case <-c.over:
			return
		case <-c.sock.Disconnected():
			return
		}
	}
}
