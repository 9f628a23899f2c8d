package api

import (
	"bytes"
	"context"
	"crypto/tls"
	"log"
	"log/slog"
	"net/http"
	"time"
)

// The server's limits. There is none on how long a request or an answer may
// take, because uploads and logs are long and replies are held; handlers bound
// what they read, and taken.go how long an answer may stand still. A TLS handshake
// has as long as a header.
const (
	readHeaderTimeout = 10 * time.Second
	// idleTimeout is longer than the 90 s after which package client lets go.
	idleTimeout    = 2 * time.Minute
	maxHeaderBytes = 64 << 10
)

// NewServer returns a server for the handler, to be started by the caller on
// listeners of its own, with or without TLS. It speaks HTTP/1.1, on at most
// fleet.MaxConnections connections.
func NewServer(handler http.Handler, log *slog.Logger) *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Server{
		Handler:           taken(handler, takePatience),
		ReadHeaderTimeout: readHeaderTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ConnState:         newGate(log).watch,
		Protocols:         protocols,
		ErrorLog:          errorLog(log),
	}
}

// HandOver gives the connections on which the client negotiated the ALPN
// protocol proto to serve instead of the HTTP handler. Serve owns a connection,
// whose handshake is done and whose deadlines are clear, until it returns; the
// connection is closed then. Call it before the server starts, and serve with
// TLS whose NextProtos offer proto and "http/1.1".
//
// Server.Shutdown waits for these connections too: end them first.
func HandOver(server *http.Server, proto string, serve func(*tls.Conn)) {
	if server.TLSNextProto == nil {
		server.TLSNextProto = map[string]func(*http.Server, *tls.Conn, http.Handler){}
	}
	server.TLSNextProto[proto] = func(_ *http.Server, conn *tls.Conn, _ http.Handler) { serve(conn) }
}

// errorLog passes on what net/http has to say: refused certificates as info,
// since somebody has to act, the rest (port scans, cut connections) as debug.
func errorLog(to *slog.Logger) *log.Logger {
	return log.New(errorWriter{to}, "", 0)
}

type errorWriter struct{ log *slog.Logger }

// Write implements io.Writer for one line.
func (w errorWriter) Write(line []byte) (int, error) {
	level := slog.LevelDebug
	if bytes.Contains(line, []byte("certificate")) {
		level = slog.LevelInfo
	}
	w.log.Log(context.Background(), level, "connection failed", "error", string(bytes.TrimSpace(line)))
	return len(line), nil
}
