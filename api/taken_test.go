package api

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

// longAnswer is more than any socket holds back.
var longAnswer = bytes.Repeat([]byte("0123456789abcdef"), 2<<20)

// answers serves its answer in one write, and tells how that ended.
func answers(ended chan<- error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, err := w.Write(longAnswer)
		ended <- err
	})
}

// Whoever takes nothing of an answer is cut off; what was to be written is let go.
func TestClientThatTakesNothingIsCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan error, 1)
		conn := serveInMemory(t, answers(ended), slog.New(slog.DiscardHandler)).dial("192.0.2.1")
		defer conn.Close()
		if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if err := <-ended; !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("the write ended with %v, want a deadline that passed", err)
		}
		if took := time.Since(began); took > 2*takePatience {
			t.Errorf("the connection was held for %v", took)
		}
	})
}

// An answer of which a little is taken again and again lives for as long as it
// lasts, far beyond the patience for one piece.
func TestSlowReaderThatGoesOnIsServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan error, 1)
		conn := serveInMemory(t, answers(ended), slog.New(slog.DiscardHandler)).dial("192.0.2.1")
		defer conn.Close()
		if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		began, taken, piece := time.Now(), 0, make([]byte, 64<<10)
		for {
			n, err := conn.Read(piece)
			taken += n
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("after %d bytes and %v: %v", taken, time.Since(began), err)
			}
			time.Sleep(takePatience / 20)
		}
		if err := <-ended; err != nil || taken < len(longAnswer) {
			t.Errorf("got %d bytes and %v, want all %d", taken, err, len(longAnswer))
		}
		if took := time.Since(began); took < 10*takePatience {
			t.Errorf("it took only %v: nothing was slow", took)
		}
	})
}

// An answer that is silent for long, as a log that is followed, is not cut off:
// the patience is for what there is to take.
func TestSilentAnswerIsNotCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			control := http.NewResponseController(w)
			_, _ = io.WriteString(w, "first ")
			_ = control.Flush()
			time.Sleep(10 * takePatience)
			_, _ = io.WriteString(w, "last")
		})
		conn := serveInMemory(t, handler, slog.New(slog.DiscardHandler)).dial("192.0.2.1")
		defer conn.Close()
		go func() { _, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n") }()
		content, err := io.ReadAll(conn)
		if err != nil || !bytes.Contains(content, []byte("last")) {
			t.Errorf("got %q, %v", content, err)
		}
	})
}

// Who takes a connection over has no deadline of ours on it.
func TestConnectionThatWasTakenOverHasNoDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		over := make(chan net.Conn, 1)
		handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				t.Error(err)
			}
			over <- conn
		})
		conn := serveInMemory(t, handler, slog.New(slog.DiscardHandler)).dial("192.0.2.1")
		defer conn.Close()
		go func() { _, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n") }()
		taken := <-over
		defer taken.Close()
		time.Sleep(10 * takePatience)
		go func() { _, _ = io.WriteString(taken, "still there") }()
		got := make([]byte, 11)
		if _, err := io.ReadFull(conn, got); err != nil {
			t.Errorf("the connection ended: %v", err)
		}
	})
}

// The same over real sockets and TLS, as agents and registries serve: the
// kernel holds some of the answer back, and the rest is let go.
func TestClientThatTakesNothingIsCutOffOnRealSockets(t *testing.T) {
	t.Parallel()
	ended := make(chan error, 1)
	server := httptest.NewUnstartedServer(nil)
	server.Config = NewServer(nil, slog.New(slog.DiscardHandler))
	server.Config.Handler = taken(answers(ended), time.Second)
	server.StartTLS()
	t.Cleanup(server.Close)
	conn, err := tls.Dial("tcp", server.Listener.Addr().String(), &tls.Config{RootCAs: server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs, ServerName: "example.com"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the write ended with %v, want a deadline that passed", err)
	}
}
