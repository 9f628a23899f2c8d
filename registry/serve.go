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
	"grapevine/identity"
	"grapevine/people/tokens"
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

// principal says who sent a request. A token says it where there is one. Over
// TLS it is otherwise the subject of the client's certificate; nodes show no
// tokens. Over plain HTTP, which is served on loopback only, and where there is no
// users file, everybody on
// this machine is an operator, but not a web page that a browser on this
// machine has open: one that names us by a name of its own, or that sends a
// mutation from its own origin, is nobody.
func (r *Registry) principal(req *http.Request) api.Principal {
	bearer := tokens.Bearer(req)
	switch {
	case req.TLS != nil:
		return r.overTLS(req.TLS, bearer)
	case r.users != nil && bearer != "":
		return r.gate.Principal(bearer, time.Now())
	case r.users != nil && !r.deps.OpenLoopback, !localName(req.Host), http.NewCrossOriginProtection().Check(req) != nil:
		return api.Principal{}
	default:
		return api.Principal{Role: api.AsOperator, Name: "loopback"}
	}
}

func (r *Registry) overTLS(state *tls.ConnectionState, bearer string) api.Principal {
	subject, err := r.deps.Identity.Admitted(*state, time.Now())
	switch {
	case bearer != "" && (err != nil || subject.Role == identity.Operator):
		return r.gate.Principal(bearer, time.Now())
	case err != nil:
		return api.Principal{}
	default:
		return api.Principal{Role: api.PrincipalRole(subject.Role), ID: subject.ID, Name: subject.Name, Enrolled: identity.EnrolledAt(state.PeerCertificates[0])}
	}
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
