package consoles

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// Session is a console that somebody sits in front of.
type Session struct {
	Pass
	From  string    // their address
	Since time.Time // wall clock, for people
	// Typed and Shown are how many bytes went to the guest and came from it.
	Typed, Shown atomic.Int64

	sessions *Sessions
	gone     chan struct{} // closed when the place is free again
	closing  sync.Once

	mu      sync.Mutex
	console io.ReadWriteCloser // guarded by mu: nil until it is open
	why     error              // guarded by mu: why it was ended from here
}

// leaving is how long somebody who asks for a place waits for its holder, who may
// have left a moment ago: a client hears the end of its console before the
// hypervisor does.
const leaving = time.Second

// leaves reports whether the session has ended within leaving.
func (s *Session) leaves(ctx context.Context) bool {
	timer := time.NewTimer(leaving)
	defer timer.Stop()
	select {
	case <-s.gone:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
}

// begin hands over the open console; an error says that the session was ended
// meanwhile.
func (s *Session) begin(console io.ReadWriteCloser) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.console = console
	return s.why
}

// end makes the session's Read return why.
func (s *Session) end(why error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.why == nil {
		s.why = why
	}
	if s.console != nil {
		_ = s.console.Close() // what becomes of it is no matter any more
	}
}

// Opened reports whether the hypervisor has given the console out.
func (s *Session) Opened() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.console != nil
}

// Why returns why the session was ended from here, nil if it was not.
func (s *Session) Why() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.why
}

// Read reads what the guest prints or draws. Its error is io.EOF when the
// machine has stopped, and a *fleet.Error where the session was ended for
// another reason that its holder may know.
func (s *Session) Read(p []byte) (int, error) {
	n, err := s.console.Read(p)
	s.Shown.Add(int64(n))
	return n, s.reason(err)
}

// Write types.
func (s *Session) Write(p []byte) (int, error) {
	n, err := s.console.Write(p)
	s.Typed.Add(int64(n))
	return n, s.reason(err)
}

func (s *Session) reason(err error) error {
	if why := s.Why(); err != nil && why != nil {
		return why
	}
	return err
}

// Close ends the session and frees its place. It may be called more than once.
func (s *Session) Close() error {
	var err error
	s.closing.Do(func() {
		s.mu.Lock()
		console := s.console
		s.mu.Unlock()
		if console != nil {
			err = console.Close()
		}
		s.sessions.release(s)
	})
	if errors.Is(err, io.ErrClosedPipe) {
		return nil
	}
	return err
}
