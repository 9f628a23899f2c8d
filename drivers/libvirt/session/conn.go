package session

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	golibvirt "github.com/digitalocean/go-libvirt"

	"grapevine/drivers"
)

// dialLimit bounds how long a daemon may take to greet; one that is busy
// starting up answers well within it.
const dialLimit = 10 * time.Second

// wire is a connection to the daemon's socket. Closing it is how we hang up:
// it unblocks whatever go-libvirt is waiting for. lost is closed when the
// connection is gone, by us or by the daemon.
type wire struct {
	net.Conn
	lost   chan struct{}
	once   sync.Once
	forget func(*wire)
}

func (w *wire) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	if err != nil {
		_ = w.Close()
	}
	return n, err
}

// Close hangs up. It may be called often and at any time.
func (w *wire) Close() error {
	w.once.Do(func() {
		close(w.lost)
		_ = w.Conn.Close()
		w.forget(w)
	})
	return nil
}

// Dial implements go-libvirt's Dialer by handing out the open connection.
func (w *wire) Dial() (net.Conn, error) { return w, nil }

func (w *wire) gone() bool {
	select {
	case <-w.lost:
		return true
	default:
		return false
	}
}

// conn is an open go-libvirt connection.
type conn struct {
	*wire
	rpc *golibvirt.Libvirt
}

// dialWire connects to the daemon's socket, without a word yet.
func (s *Session) dialWire(ctx context.Context) (*wire, error) {
	path := s.socket()
	raw, err := (&net.Dialer{Timeout: dialLimit}).DialContext(ctx, "unix", path)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fmt.Errorf("%w: %w", drivers.ErrUnavailable, err)
	}
	w := &wire{Conn: raw, lost: make(chan struct{}), forget: s.forget}
	if !s.remember(w) {
		_ = w.Close()
		return nil, fmt.Errorf("%w: %w", drivers.ErrUnavailable, errClosed)
	}
	return w, nil
}

// dial opens a connection for calls and events.
func (s *Session) dial(ctx context.Context) (*conn, error) {
	w, err := s.dialWire(ctx)
	if err != nil {
		return nil, err
	}
	c := &conn{wire: w, rpc: golibvirt.NewWithDialer(w)}
	err = w.guard(ctx, dialLimit, func() error { return c.rpc.ConnectToURI(golibvirt.ConnectURI(s.uri)) })
	if err != nil {
		_ = w.Close()
		return nil, s.refused(ctx, err)
	}
	return c, nil
}

// refused is the error of a greeting that failed. Also a daemon that answers
// and does not let us in is one that cannot be asked anything.
func (s *Session) refused(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, drivers.ErrUnavailable):
		return fmt.Errorf("open %s: %w", s.uri, err)
	default:
		return fmt.Errorf("open %s: %w: %w", s.uri, drivers.ErrUnavailable, err)
	}
}

// guard runs a blocking exchange on the connection and hangs up, which ends
// it, when ctx ends or the limit has passed. It returns ctx's error, an error
// of the exchange, or ErrUnavailable.
func (w *wire) guard(ctx context.Context, limit time.Duration, exchange func() error) error {
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	stop := context.AfterFunc(limited, func() { _ = w.Close() })
	err := translate(exchange())
	switch {
	case stop():
		return err
	case ctx.Err() != nil:
		return ctx.Err()
	default:
		return fmt.Errorf("%w: no answer in %s", drivers.ErrUnavailable, limit)
	}
}
