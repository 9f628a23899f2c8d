package api

import (
	"bufio"
	"net"
	"net/http"
	"time"
)

// takePatience is how long a client may take nothing of its answer before its
// connection is closed. It begins anew with each piece that is taken, so there
// is no bound on how long an answer may be that is being read.
const takePatience = 30 * time.Second

// takePiece is what must be taken within takePatience: little enough for 5 kbit/s.
const takePiece = 16 << 10

// taken has every answer of next taken in time: the next piece within patience.
func taken(next http.Handler, patience time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t := &takenWriter{ResponseWriter: w, control: http.NewResponseController(w), patience: patience}
		defer t.hurry() // net/http writes what is left after its handler
		next.ServeHTTP(t, r)
	})
}

// takenWriter moves the deadline of writes on with each piece.
type takenWriter struct {
	http.ResponseWriter
	control  *http.ResponseController
	patience time.Duration
	hijacked bool
}

// hurry sets the deadline for the next piece. A connection that was taken over is
// bounded by whoever took it.
func (t *takenWriter) hurry() {
	if !t.hijacked {
		_ = t.control.SetWriteDeadline(time.Now().Add(t.patience)) // a recorder in a test has none
	}
}

// Write implements http.ResponseWriter.
func (t *takenWriter) Write(p []byte) (int, error) {
	done := 0
	for {
		piece := p[done:min(len(p), done+takePiece)]
		t.hurry()
		n, err := t.ResponseWriter.Write(piece)
		done += n
		if err != nil || done == len(p) {
			return done, err
		}
	}
}

// FlushError is what http.ResponseController flushes by.
func (t *takenWriter) FlushError() error {
	t.hurry()
	return t.control.Flush()
}

// Flush implements http.Flusher.
func (t *takenWriter) Flush() { _ = t.FlushError() }

// Hijack implements http.Hijacker.
func (t *takenWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := t.control.Hijack()
	t.hijacked = err == nil
	return conn, rw, err
}

// Unwrap is how http.ResponseController reaches what is below.
func (t *takenWriter) Unwrap() http.ResponseWriter { return t.ResponseWriter }
