package serfrpc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/serf/serf"
)

const (
	// maxClients bounds how many connections are served at a time.
	maxClients = 32
	// keepLines is how many of the newest log lines a monitor gets first.
	keepLines = 256
)

// Backend is the member that the serf command is shown.
type Backend interface {
	// Serf returns the running instance, nil before it runs and after.
	Serf() *serf.Serf
	// Keys does one of "list", "install", "use" and "remove" at all members.
	Keys(ctx context.Context, action, key string) (KeyAnswer, error)
	// Join joins through a gossip address, Leave says good bye; both block for
	// a few seconds at most.
	Join(addr string) error
	Leave(ctx context.Context) error
}

// Server answers serf commands. Event and Logged may be called at any time,
// and never block.
type Server struct {
	backend Backend
	secret  []byte
	log     *slog.Logger

	mu      sync.Mutex
	clients map[*client]bool
	lines   []string // the newest, oldest first
}

// New returns a server that answers whoever knows the secret.
func New(backend Backend, secret string, log *slog.Logger) *Server {
	return &Server{backend: backend, secret: []byte(secret), log: log, clients: map[*client]bool{}}
}

// Serve answers connections to l until ctx ends, and then closes l and all of
// them. It returns nil, or why l failed.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() {
		<-ctx.Done()
		_ = l.Close()
	})
	for {
		conn, err := l.Accept()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				_ = conn.Close()
			}
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("accept serf commands: %w", err)
		case err != nil:
			s.log.Warn("serf command not accepted", "error", err)
			select { // out of file descriptors, say: it passes
			case <-ctx.Done():
			case <-time.After(time.Second):
			}
			continue
		}
		c := newClient(s, conn)
		if !s.admit(c) {
			_ = conn.Close()
			continue
		}
		wg.Go(func() {
			defer s.dismiss(c)
			c.serve(ctx)
		})
	}
}

func (s *Server) admit(c *client) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.clients) >= maxClients {
		s.log.Warn("serf command refused: too many at a time", "most", maxClients)
		return false
	}
	s.clients[c] = true
	return true
}

func (s *Server) dismiss(c *client) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.clients, c)
}

// Event hands an event of Serf to all who stream events.
func (s *Server) Event(e serf.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.clients {
		c.offerEvent(e)
	}
}

// Logged hands a line of Serf's log to all who monitor, and keeps it a while.
func (s *Server) Logged(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.lines) == keepLines {
		copy(s.lines, s.lines[1:])
		s.lines = s.lines[:keepLines-1]
	}
	s.lines = append(s.lines, line)
	for c := range s.clients {
		c.offerLine(line)
	}
}

// recent calls f with every line that is kept, and then runs then, without a
// line between.
func (s *Server) recent(f func(string), then func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, line := range s.lines {
		f(line)
	}
	then()
}
