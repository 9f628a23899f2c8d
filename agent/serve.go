package agent

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"grapevine/api"
	"grapevine/identity"
	"grapevine/internal/buildinfo"
	"grapevine/internal/rungroup"
	"grapevine/internal/sockets"
	"grapevine/mesh"
)

// listen binds the HTTPS listener and the unix socket.
func (a *Agent) listen() error {
	var err error
	if a.listener, err = a.network.Listen("listen", a.cfg.Listen); err != nil || a.cfg.Socket == "" {
		return err
	}
	a.socket, err = sockets.ListenUnix("socket", a.cfg.Socket, a.cfg.SocketGroup)
	return err
}

// serve adds the servers to the group.
func (a *Agent) serve(group *rungroup.Group) {
	options := api.Options{
		Node:      a,
		Enrolment: a.desk,
		Audit:     (*auditor)(a),
		Ready:     a.mesh.Ready,
		Metrics:   promhttp.HandlerFor(a.metrics.registry, promhttp.HandlerOpts{}),
		Log:       a.log,
		Tracer:    a.tracer,
		Version:   buildinfo.Version(),
	}
	options.Principal = a.certified
	secure := api.NewServer(api.NewHandler(a, options), a.log)
	secure.TLSConfig = a.identity.ServerTLS("http/1.1", mesh.ALPN)
	api.HandOver(secure, mesh.ALPN, a.acceptLink)
	group.Add("api", func(ctx context.Context) error {
		return serveUntil(ctx, secure, func() error { return secure.ServeTLS(a.listener, "", "") })
	})
	if a.socket == nil {
		return
	}
	options.Principal = onSocket
	plain := api.NewServer(api.NewHandler(a, options), a.log)
	group.Add("socket", func(ctx context.Context) error {
		return serveUntil(ctx, plain, func() error { return plain.Serve(a.socket) })
	})
}

// serveUntil serves until ctx ends, lets requests under way come to their end,
// and then cuts those that have not.
func serveUntil(ctx context.Context, server *http.Server, serve func() error) error {
	ended := make(chan error, 1)
	go func() { ended <- serve() }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), requestGrace)
	defer cancel()
	if err := server.Shutdown(within); err != nil {
		_ = server.Close()
	}
	if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// requestGrace is how long requests under way may take to end at shutdown.
const requestGrace = 5 * time.Second

// acceptLink hands a link to the mesh, if an agent or a registry opened it.
func (a *Agent) acceptLink(conn *tls.Conn) {
	peer, err := identity.PeerOf(conn.ConnectionState())
	if err != nil || peer.Role == identity.Operator {
		a.log.Info("link refused: the peer has no certificate of a node", "peer", conn.RemoteAddr(), "error", err)
		_ = conn.Close()
		return
	}
	a.mesh.Accept(a.running, a.identity.Guard(conn), peer.ID)
}

// onSocket is whoever may open the unix socket: root and one group.
func onSocket(*http.Request) api.Principal {
	return api.Principal{Role: api.AsOperator, Name: "local"}
}
