package client

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync"
)

// way is how far a request has come.
type way struct {
	mu     sync.Mutex
	before bool     // guarded by mu: an earlier attempt may have reached the node
	conn   net.Conn // guarded by mu: the connection of this attempt; nil before there is one
}

// trace follows a request. It counts as sent once a connection is there over
// which it may travel. The transport tries again by itself when a connection
// that it had kept turns out to be closed: a request that may not be repeated
// is then only tried again if none of it was written, so that it starts anew;
// one that may be repeated could have been read before.
func (w *way) trace(r call) *httptrace.ClientTrace {
	repeatable := r.method == http.MethodGet || r.header.Get(keyHeader) != ""
	return &httptrace.ClientTrace{
		GetConn: func(string) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.before = repeatable && (w.before || w.conn != nil)
			w.conn = nil
		},
		GotConn: func(info httptrace.GotConnInfo) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.conn = info.Conn
		},
	}
}

// failure says what err means for a request that has come this far.
func (w *way) failure(ctx context.Context, addr string, err error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if refused := refusal(w.conn); refused != nil {
		return &TransportError{Addr: addr, Sent: w.before, Err: refused}
	}
	return &TransportError{Addr: addr, Sent: w.before || w.conn != nil, Err: cause(ctx, err)}
}

// cause prefers the context's own error, which says why the caller gave up.
func cause(ctx context.Context, err error) error {
	if ctxErr := context.Cause(ctx); ctxErr != nil && !errors.Is(err, ctxErr) {
		return fmt.Errorf("%w: %w", ctxErr, err)
	}
	return err
}
