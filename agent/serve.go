package agent

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"grapevine/api"
	"grapevine/identity"
	"grapevine/internal/buildinfo"
	"grapevine/internal/rungroup"
	"grapevine/mesh"
)

// listen binds the HTTPS listener and the unix socket.
func (a *Agent) listen() error {
	l, err := net.Listen("tcp", a.cfg.Listen)
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("listen on %s: the port is in use; stop the other process or set listen to another address: %w", a.cfg.Listen, err)
	}
	if err != nil {
		return fmt.Errorf("listen on %s: %w", a.cfg.Listen, err)
	}
	a.listener = l
	if a.cfg.Socket == "" {
		return nil
	}
	a.socket, err = listenSocket(a.cfg.Socket, a.cfg.SocketGroup)
	return err
}

// listenSocket binds a unix socket for root and one group. A socket that a
// dead agent left is replaced; a living one is not.
func listenSocket(path, group string) (net.Listener, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return nil, fmt.Errorf("make the socket's folder: %w", err)
	}
	if conn, err := net.DialTimeout("unix", path, time.Second); err == nil {
		_ = conn.Close()
		return nil, fmt.Errorf("socket %s is in use by another agent: stop it, or set socket to another path", path)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("remove the socket of an earlier run: %w", err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("listen on socket %s: %w", path, err)
	}
	if err := os.Chmod(path, 0o660); err != nil {
		return nil, errors.Join(fmt.Errorf("set the socket's mode: %w", err), l.Close())
	}
	// The group exists where the packages made it; elsewhere root is enough.
	if g, err := user.LookupGroup(group); err == nil {
		if gid, err := strconv.Atoi(g.Gid); err == nil {
			_ = os.Chown(path, -1, gid)
		}
	}
	return l, nil
}

// serve adds the servers to the group.
func (a *Agent) serve(group *rungroup.Group) {
	options := api.Options{
		Node:    a,
		Ready:   a.mesh.Ready,
		Metrics: promhttp.HandlerFor(a.metrics.registry, promhttp.HandlerOpts{}),
		Log:     a.log,
		Version: buildinfo.Version(),
	}
	options.Principal = certified
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
	<-ended
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
	a.mesh.Accept(a.running, conn, peer.ID)
}

// certified reads who asks from the client's certificate.
func certified(r *http.Request) api.Principal {
	if r.TLS == nil {
		return api.Principal{}
	}
	peer, err := identity.PeerOf(*r.TLS)
	if err != nil {
		return api.Principal{}
	}
	return api.Principal{Role: api.PrincipalRole(peer.Role), ID: peer.ID, Name: peer.Name}
}

// onSocket is whoever may open the unix socket: root and one group.
func onSocket(*http.Request) api.Principal {
	return api.Principal{Role: api.AsOperator, Name: "local"}
}
