package session

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"

	golibvirt "github.com/digitalocean/go-libvirt"

	"grapevine/drivers"
)

const (
	procOpenGraphicsFD = 343
	graphicsSkipAuth   = 1 // VIR_DOMAIN_OPEN_GRAPHICS_SKIPAUTH
	replyWithFDs       = 5 // VIR_NET_REPLY_WITH_FDS
)

// OpenGraphics connects to a domain's first screen. The daemon makes a pair of
// sockets, hands one to QEMU and the other, through the unix socket that we talk
// over, to us: the screen need not listen anywhere, and asks for no password.
func (s *Session) OpenGraphics(ctx context.Context, dom golibvirt.Domain) (io.ReadWriteCloser, error) {
	w, err := s.dialWire(ctx)
	if err != nil {
		return nil, err
	}
	raw, ok := w.Conn.(*net.UnixConn)
	if !ok {
		_ = w.Close()
		return nil, fmt.Errorf("%w: a screen is handed over through a unix socket alone", drivers.ErrUnsupported)
	}
	passed := &passing{UnixConn: raw, files: make(chan *os.File, 1)}
	w.Conn = passed
	t, err := s.greetOn(ctx, w)
	if err != nil {
		return nil, errors.Join(err, passed.drop())
	}
	var screen net.Conn
	err = t.guard(ctx, dialLimit, func() error {
		if err := t.ask(procOpenGraphicsFD, domainArgs(dom).u32(0).u32(graphicsSkipAuth)); err != nil {
			return err
		}
		if _, err := t.next(replyWithFDs); err != nil {
			return err
		}
		select {
		case file := <-passed.files:
			defer file.Close()
			screen, err = net.FileConn(file)
			return err
		case <-t.sock.Disconnected():
			return golibvirt.ErrInterrupted
		}
	})
	t.hangUp()
	return screen, errors.Join(err, passed.drop())
}

// passing is a unix socket over which the daemon hands us an open file. The file
// comes with one byte that is no part of the protocol, after the reply that
// announces it.
type passing struct {
	*net.UnixConn
	files chan *os.File
}

// Read implements io.Reader for the protocol's bytes.
func (c *passing) Read(p []byte) (int, error) {
	control := make([]byte, syscall.CmsgSpace(4*4))
	for {
		n, controls, _, _, err := c.ReadMsgUnix(p, control)
		if err != nil {
			return 0, err // n may be negative
		}
		if controls > 0 {
			n-- // the kernel never reads on past a file: its byte is the last
			if err := c.take(control[:controls]); err != nil {
				return 0, err
			}
		} else if n == 0 {
			return 0, io.EOF
		}
		if n > 0 {
			return n, nil
		}
	}
}

// take keeps the first file and closes any other.
func (c *passing) take(control []byte) error {
	messages, err := syscall.ParseSocketControlMessage(control)
	if err != nil {
		return fmt.Errorf("read what came with a message: %w", err)
	}
	for i := range messages {
		numbers, err := syscall.ParseUnixRights(&messages[i])
		if err != nil {
			return fmt.Errorf("read what came with a message: %w", err)
		}
		for _, number := range numbers {
			file := os.NewFile(uintptr(number), "screen")
			select {
			case c.files <- file:
			default:
				_ = file.Close()
			}
		}
	}
	return nil
}

// drop closes a file that nobody has taken.
func (c *passing) drop() error {
	select {
	case file := <-c.files:
		return file.Close()
	default:
		return nil
	}
}
