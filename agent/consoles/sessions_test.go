package consoles

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"grapevine/fleet"
)

// room is sessions that live as long as the test, and count those that ended.
type room struct {
	*Sessions
	t    *testing.T
	stop context.CancelFunc
	ran  chan struct{}

	mu    sync.Mutex
	ended []*Session // guarded by mu
}

func newRoom(t *testing.T) *room {
	t.Helper()
	r := &room{t: t, ran: make(chan struct{})}
	r.Sessions = NewSessions(func(s *Session) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.ended = append(r.ended, s)
	})
	ctx, cancel := context.WithCancel(context.Background())
	r.stop = cancel
	go func() {
		defer close(r.ran)
		_ = r.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-r.ran
	})
	return r
}

// pipe is a console, the guest's end of which is never touched.
func pipe(context.Context, bool) (io.ReadWriteCloser, error) {
	r, _ := io.Pipe()
	return struct {
		io.ReadCloser
		io.Writer
	}{r, io.Discard}, nil
}

func (r *room) sit(p Pass) *Session {
	r.t.Helper()
	s, err := r.Open(r.t.Context(), p, "192.0.2.7:1", pipe)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = s.Close() })
	return s
}

// reading returns what the session's Read ends with.
func reading(s *Session) <-chan error {
	ended := make(chan error, 1)
	go func() {
		_, err := s.Read(make([]byte, 1))
		_ = s.Close()
		ended <- err
	}()
	return ended
}

func TestOneSitsInFrontOfAMachine(t *testing.T) {
	r := newRoom(t)
	first := r.sit(pass(1))
	_, err := r.Open(t.Context(), pass(1), "", pipe)
	if fleet.CodeOf(err) != fleet.CodeConflict || !strings.Contains(err.Error(), "operator has had it from 192.0.2.7:1") {
		t.Errorf("got %v, want a conflict that says who", err)
	}
	r.sit(pass(2))
	screen := pass(1)
	screen.Kind = fleet.VNCConsole
	r.sit(screen)
	if err := first.Close(); err != nil {
		t.Error(err)
	}
	r.sit(pass(1))
}

func TestWhoeverHasJustLeftIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewSessions(nil)
		first, err := s.Open(t.Context(), pass(1), "", pipe)
		if err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(leaving/2, func() { _ = first.Close() })
		second, err := s.Open(t.Context(), pass(1), "", pipe)
		if err != nil {
			t.Fatalf("got %v, want the place", err)
		}
		_ = second.Close()
	})
}

func TestForceEndsTheOtherBeforeItOpens(t *testing.T) {
	r := newRoom(t)
	ended := reading(r.sit(pass(1)))
	forced := pass(1)
	forced.Force, forced.Who = true, "another"
	s, err := r.Open(t.Context(), forced, "192.0.2.8:1", func(ctx context.Context, force bool) (io.ReadWriteCloser, error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		if len(r.ended) != 1 || !force {
			t.Errorf("opened with %d ended and force %v; want the first ended", len(r.ended), force)
		}
		return pipe(ctx, force)
	})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := <-ended; fleet.CodeOf(err) != fleet.CodeConflict || !strings.Contains(err.Error(), "another has taken the console over") {
		t.Errorf("the first ended with %v, want who has taken it over", err)
	}
}

func TestConsoleThatDoesNotOpenFreesItsPlace(t *testing.T) {
	r := newRoom(t)
	broken := errors.New("no such device")
	_, err := r.Open(t.Context(), pass(1), "", func(context.Context, bool) (io.ReadWriteCloser, error) { return nil, broken })
	if !errors.Is(err, broken) {
		t.Errorf("got %v, want %v", err, broken)
	}
	r.sit(pass(1))
}

func TestSessionsAreBounded(t *testing.T) {
	r := newRoom(t)
	for n := range fleet.MaxConsoles {
		r.sit(pass(byte(n)))
	}
	if _, err := r.Open(t.Context(), pass(200), "", pipe); fleet.CodeOf(err) != fleet.CodeTooMany {
		t.Errorf("got %v, want too_many", err)
	}
	if n := r.Count()[fleet.SerialConsole]; n != fleet.MaxConsoles {
		t.Errorf("%d are open, want %d", n, fleet.MaxConsoles)
	}
}

func TestStoppingAgentEndsAllAndWaits(t *testing.T) {
	r := newRoom(t)
	ended := reading(r.sit(pass(1)))
	ctx, done, err := r.Follow(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r.stop()
	if err := <-ended; fleet.CodeOf(err) != fleet.CodeNotReady {
		t.Errorf("the session ended with %v, want not_ready", err)
	}
	<-ctx.Done()
	select {
	case <-r.ran:
		t.Error("Run has returned and a follower goes on")
	default:
	}
	done()
	<-r.ran
	if _, err := r.Open(t.Context(), pass(1), "", pipe); fleet.CodeOf(err) != fleet.CodeNotReady {
		t.Errorf("open after the end: got %v, want not_ready", err)
	}
	if _, _, err := r.Follow(t.Context()); fleet.CodeOf(err) != fleet.CodeNotReady {
		t.Errorf("follow after the end: got %v, want not_ready", err)
	}
}

func TestFollowersAreBounded(t *testing.T) {
	r := newRoom(t)
	for range fleet.MaxLogFollowers {
		_, done, err := r.Follow(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer done()
	}
	if _, _, err := r.Follow(t.Context()); fleet.CodeOf(err) != fleet.CodeTooMany {
		t.Errorf("got %v, want too_many", err)
	}
}
