package session

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	golibvirt "github.com/digitalocean/go-libvirt"

	"grapevine/drivers"
)

const (
	// backoffFirst and backoffMost space the attempts to connect while the
	// daemon is away. The most is below the 2 s within which a change is seen.
	backoffFirst = 50 * time.Millisecond
	backoffMost  = time.Second
	// answerLimit is how long libvirt may take over one call. Starting a large
	// machine or reserving a disk image may take minutes on a busy host; past
	// this the daemon hangs.
	answerLimit = 5 * time.Minute
	// abandonLimit is how long an answer that nobody waits for any more may
	// stay out before the connection is given up with it.
	abandonLimit = 30 * time.Second
	// settleLimit is how long a step that must not be left half done goes on
	// after its context has ended.
	settleLimit = 5 * time.Second
	// maxCalls bounds the calls under way; libvirtd itself takes up 5 of a
	// client at a time and queues the others.
	maxCalls = 16
)

// Session is the connection that calls share, and where the others come from.
// It connects on demand, again after each loss, never more often than the
// back-off allows.
type Session struct {
	socket func() string
	uri    string
	slots  chan struct{}

	mu      sync.Mutex
	closed  bool
	current *conn
	dialing chan struct{} // closed at the end of an attempt; nil when none is under way
	failed  error         // why the last attempt failed
	wait    time.Duration
	retryAt time.Time
	wires   map[*wire]struct{} // all open connections, also those of feeds and streams
	running sync.WaitGroup
}

// New returns a session that connects to whatever socket returns, when it is
// first used.
func New(socket func() string, uri string) *Session {
	return &Session{socket: socket, uri: uri, slots: make(chan struct{}, maxCalls), wires: make(map[*wire]struct{})}
}

// Call does fn and waits for it, or until ctx ends: fn may then still go on,
// and its effect may come later. fn is given the connection and returns
// go-libvirt's errors as they are.
func (s *Session) Call(ctx context.Context, fn func(*golibvirt.Libvirt) error) error {
	return s.do(ctx, 0, fn)
}

// Settle is Call for a step of which the caller must know the end, to undo it:
// it goes on for a little while after ctx has ended. It then hangs up.
func (s *Session) Settle(ctx context.Context, fn func(*golibvirt.Libvirt) error) error {
	return s.do(ctx, settleLimit, fn)
}

// Work is Call for what takes as long as it takes, such as copying a disk. It has
// a connection of its own, which is hung up when ctx ends: libvirt may then still
// go on with it for a while.
func (s *Session) Work(ctx context.Context, fn func(*golibvirt.Libvirt) error) error {
	c, err := s.dial(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	return c.guard(ctx, transferLimit, func() error { return fn(c.rpc) })
}

func (s *Session) do(ctx context.Context, settle time.Duration, fn func(*golibvirt.Libvirt) error) error {
	c, err := s.connection(ctx)
	if err != nil {
		return err
	}
	select {
	case s.slots <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	answer := make(chan error, 1)
	started := s.start(func() {
		defer func() { <-s.slots }()
		answer <- fn(c.rpc)
	})
	if !started {
		<-s.slots
		return fmt.Errorf("%w: %w", drivers.ErrUnavailable, errClosed)
	}
	if err, ok := await(ctx, answer, answerLimit); ok {
		return translate(err)
	}
	if err, ok := await(context.WithoutCancel(ctx), answer, settle); ok {
		return translate(err)
	}
	if ctx.Err() == nil || settle > 0 {
		_ = c.Close()
	} else {
		s.start(func() {
			if _, ok := await(context.Background(), answer, abandonLimit); !ok {
				_ = c.Close()
			}
		})
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("%w: no answer in %s", drivers.ErrUnavailable, answerLimit)
}

// await returns the answer, or false when it has not come in time.
func await(ctx context.Context, answer <-chan error, limit time.Duration) (error, bool) {
	select {
	case err := <-answer:
		return err, true
	default:
	}
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case err := <-answer:
		return err, true
	case <-ctx.Done():
	case <-timer.C:
	}
	return nil, false
}

// connection returns the shared connection, made anew when it is lost. While
// the daemon is away it fails at once, between attempts.
func (s *Session) connection(ctx context.Context) (*conn, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		c, attempt, err := s.poll()
		if c != nil || err != nil {
			return c, err
		}
		select {
		case <-attempt:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// poll returns the connection, or an attempt to wait for, or why there is
// neither.
func (s *Session) poll() (*conn, <-chan struct{}, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return nil, nil, fmt.Errorf("%w: %w", drivers.ErrUnavailable, errClosed)
	case s.current != nil && !s.current.gone():
		return s.current, nil, nil
	case s.dialing != nil:
		return nil, s.dialing, nil
	case time.Now().Before(s.retryAt):
		return nil, nil, s.failed
	}
	s.dialing = make(chan struct{})
	s.running.Go(s.connect)
	return nil, s.dialing, nil
}

// connect is one attempt.
func (s *Session) connect() {
	c, err := s.dial(context.Background())
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.dialing)
	s.dialing = nil
	s.current, s.failed = c, err
	if err == nil {
		s.wait, s.retryAt = 0, time.Time{}
		return
	}
	s.wait = min(max(2*s.wait, backoffFirst), backoffMost)
	s.retryAt = time.Now().Add(s.wait)
}

// Greet connects anew, to see whether the daemon lets us in, and hangs up.
func (s *Session) Greet(ctx context.Context) error {
	c, err := s.dial(ctx)
	if err != nil {
		return err
	}
	return c.Close()
}

// start runs fn in a goroutine that Close waits for; false when it is too
// late for that.
func (s *Session) start(fn func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.running.Go(fn)
	return true
}

func (s *Session) remember(w *wire) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.wires[w] = struct{}{}
	return true
}

func (s *Session) forget(w *wire) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.wires, w)
}

// Close hangs up every connection and waits for what used them.
func (s *Session) Close() {
	s.mu.Lock()
	s.closed = true
	open := make([]*wire, 0, len(s.wires))
	for w := range s.wires {
		open = append(open, w)
	}
	s.mu.Unlock()
	for _, w := range open {
		_ = w.Close()
	}
	s.running.Wait()
}

// errClosed is why a closed driver is unavailable.
var errClosed = errors.New("the driver is closed")
