package api

import (
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"grapevine/fleet"
	"grapevine/internal/crowd"
)

// gate counts a server's connections, and closes those for which there is no
// room before anything is read of them.
type gate struct {
	log   *slog.Logger
	crowd crowd.Crowd

	mu     sync.Mutex
	inside map[net.Conn]struct{}
	told   time.Time // when a refusal was last logged
}

// refusalsToldEvery keeps the log of a node that is pestered short.
const refusalsToldEvery = time.Minute

func newGate(log *slog.Logger) *gate {
	return &gate{
		log:    log,
		crowd:  crowd.Crowd{All: fleet.MaxConnections, Each: fleet.MaxConnectionsEach},
		inside: map[net.Conn]struct{}{},
	}
}

// watch is the server's ConnState. A connection that was hijacked is bounded by
// whoever took it.
func (g *gate) watch(conn net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		if !g.enter(conn) {
			_ = conn.Close()
		}
	case http.StateClosed, http.StateHijacked:
		g.leave(conn)
	default:
	}
}

func (g *gate) enter(conn net.Conn) bool {
	let := g.crowd.Enter(conn.RemoteAddr())
	g.mu.Lock()
	defer g.mu.Unlock()
	if let {
		g.inside[conn] = struct{}{}
		return true
	}
	if now := time.Now(); now.Sub(g.told) >= refusalsToldEvery {
		g.told = now
		g.log.Warn("connection refused: too many are open; further refusals within a minute are not told",
			"peer", conn.RemoteAddr().String(), "open", len(g.inside), "most", g.crowd.All, "most_of_one_address", g.crowd.Each)
	}
	return false
}

func (g *gate) leave(conn net.Conn) {
	g.mu.Lock()
	_, was := g.inside[conn]
	delete(g.inside, conn)
	g.mu.Unlock()
	if was {
		g.crowd.Leave(conn.RemoteAddr())
	}
}
