package registry

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"grapevine/api"
)

// serve serves the API until shutdown.
func (r *Registry) serve() error {
	listener := r.listener
	if r.cfg.ListenTLS {
		listener = tls.NewListener(listener, r.deps.Identity.ServerTLS("http/1.1"))
	}
	if err := r.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve the API on %s: %w", r.Addr(), err)
	}
	return nil
}

// shutdown takes no more requests, and waits for those under way for half of
// the grace; then it cuts them off, so that there is time to leave the mesh. A
// create that is cut off is as one whose answer was lost: the same key answers
// it again.
func (r *Registry) shutdown(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.ShutdownGrace/2)
	defer cancel()
	err := r.server.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		r.deps.Log.Warn("requests were cut off at shutdown", "after", (r.cfg.ShutdownGrace / 2).String())
		return r.server.Close()
	}
	return err
}

// principal says who sent a request. Over TLS it is the subject of the client's
// certificate. Over plain HTTP, which is served on loopback only, everybody on
// this machine is an operator, but not a web page that a browser on this
// machine has open: one that names us by a name of its own, or that sends a
// mutation from its own origin, is nobody.
func (r *Registry) principal(req *http.Request) api.Principal {
	if req.TLS == nil {
		if !localName(req.Host) || http.NewCrossOriginProtection().Check(req) != nil {
			return api.Principal{}
		}
		return api.Principal{Role: api.AsOperator, Name: "loopback"}
	}
	subject, err := r.deps.Identity.Admitted(*req.TLS, time.Now())
	if err != nil {
		return api.Principal{}
	}
	return api.Principal{Role: api.PrincipalRole(subject.Role), ID: subject.ID, Name: subject.Name}
}

// localName reports whether the Host of a request is a loopback address or
// localhost, with or without a port.
func localName(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return loopback(net.JoinHostPort(trimBrackets(host), "0"))
}

func trimBrackets(host string) string {
	if len(host) > 1 && host[0] == '[' && host[len(host)-1] == ']' {
		return host[1 : len(host)-1]
	}
	return host
}
