package consoles

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"grapevine/fleet"
)

// Opener opens a console at the hypervisor; force takes it away from others
// there.
type Opener func(ctx context.Context, force bool) (io.ReadWriteCloser, error)

// Sessions are the consoles that are open, one of a kind for each instance.
// NewSessions makes it, Run lives it.
type Sessions struct {
	ended func(*Session) // told of the end of each; may be nil

	mu        sync.Mutex
	held      map[place]*Session // guarded by mu
	following int                // guarded by mu
	over      bool               // guarded by mu
	life      context.Context    //nolint:containedctx // of the followers: it ends when over is set.
	stop      context.CancelFunc // ends life
	all       sync.WaitGroup     // of sessions and followers
}

// place is what one can sit in front of.
type place struct {
	id   fleet.InstanceID
	kind fleet.ConsoleKind
}

// NewSessions returns a host's sessions, none yet.
func NewSessions(ended func(*Session)) *Sessions {
	s := &Sessions{ended: ended, held: map[place]*Session{}}
	s.life, s.stop = context.WithCancel(context.Background())
	return s
}

// errOver is the end of sessions, and the refusal of new ones, when the agent
// stops.
var errOver = &fleet.Error{Code: fleet.CodeNotReady, Detail: "the agent of this host is stopping; try again in a moment"}

// Run blocks until ctx ends, ends all sessions, and returns when nobody sits
// any more.
func (s *Sessions) Run(ctx context.Context) error {
	<-ctx.Done()
	s.mu.Lock()
	s.over = true
	s.stop()
	for _, session := range s.held {
		session.end(errOver)
	}
	s.mu.Unlock()
	s.all.Wait()
	return nil
}

// Open opens a console and blocks until the hypervisor has given it out. The
// caller closes the session.
func (s *Sessions) Open(ctx context.Context, pass Pass, from string, open Opener) (*Session, error) {
	session, before, err := s.take(pass, from)
	if err != nil && before != nil && before.leaves(ctx) {
		session, before, err = s.take(pass, from)
	}
	if err != nil {
		return nil, err
	}
	if before != nil {
		select {
		case <-before.gone:
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), session.Close())
		}
	}
	console, err := open(ctx, pass.Force)
	if err != nil {
		return nil, errors.Join(err, session.Close())
	}
	if err := session.begin(console); err != nil {
		return nil, errors.Join(err, session.Close())
	}
	return session, nil
}

// take takes the place, and returns whoever has it, or had to leave it.
func (s *Sessions) take(pass Pass, from string) (session, before *Session, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := place{pass.Instance, pass.Kind}
	before = s.held[at]
	switch {
	case s.over:
		return nil, nil, errOver
	case before != nil && !pass.Force:
		return nil, before, &fleet.Error{Code: fleet.CodeConflict, Detail: fmt.Sprintf(
			"the %s console of instance %s is taken: %s has had it from %s since %s; take it over with --force",
			pass.Kind, pass.Instance, before.Who, before.From, before.Since.UTC().Format("15:04:05 UTC"))}
	case before != nil:
		before.end(&fleet.Error{Code: fleet.CodeConflict, Detail: fmt.Sprintf("%s has taken the console over, from %s", pass.Who, from)})
	case len(s.held) >= fleet.MaxConsoles:
		return nil, nil, &fleet.Error{Code: fleet.CodeTooMany, Detail: fmt.Sprintf("%d consoles of this host are open, and no more can be; close one", len(s.held))}
	}
	session = &Session{Pass: pass, From: from, Since: time.Now(), sessions: s, gone: make(chan struct{})}
	s.held[at] = session
	s.all.Add(1)
	return session, before, nil
}

// release gives the place back.
func (s *Sessions) release(session *Session) {
	at := place{session.Instance, session.Kind}
	s.mu.Lock()
	if s.held[at] == session {
		delete(s.held, at)
	}
	s.mu.Unlock()
	close(session.gone)
	if s.ended != nil {
		s.ended(session)
	}
	s.all.Done()
}

// Count returns how many consoles of each kind are open.
func (s *Sessions) Count() map[fleet.ConsoleKind]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	count := map[fleet.ConsoleKind]int{fleet.SerialConsole: 0, fleet.VNCConsole: 0}
	for at := range s.held {
		count[at.kind]++
	}
	return count
}

// Follow returns a context for following a log, which ends with the sessions
// too, and what ends it.
func (s *Sessions) Follow(ctx context.Context) (context.Context, context.CancelFunc, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.over:
		return nil, nil, errOver
	case s.following >= fleet.MaxLogFollowers:
		return nil, nil, &fleet.Error{Code: fleet.CodeTooMany, Detail: fmt.Sprintf("%d logs of this host are being followed, and no more can be", s.following)}
	}
	s.following++
	s.all.Add(1)
	ctx, cancel := context.WithCancel(ctx)
	halt := context.AfterFunc(s.life, cancel)
	return ctx, sync.OnceFunc(func() {
		halt()
		cancel()
		s.mu.Lock()
		s.following--
		s.mu.Unlock()
		s.all.Done()
	}), nil
}
