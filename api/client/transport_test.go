package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"grapevine/fleet"
)

// listen serves each connection with serve until the test ends.
func listen(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	var lc net.ListenConfig
	listener, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serve(conn)
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() { _ = listener.Close(); <-done })
	return "http://" + listener.Addr().String()
}

func newClient(t *testing.T, addr string) *Client {
	t.Helper()
	c, err := New(addr, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// claim is a mutation that must not be repeated by itself.
func claim(ctx context.Context, c *Client) error {
	_, err := c.Claim(ctx, fleet.Proposal{Request: fleet.Request{ID: fleet.UUID{1}}})
	return err
}

// readRequest reads as far as a request's header goes.
func readRequest(conn net.Conn) {
	buf := make([]byte, 64<<10)
	_, _ = conn.Read(buf)
}

func TestTimeoutIsNotARefusal(t *testing.T) {
	const accepted = "HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{\"instance\":"
	for name, tt := range map[string]struct {
		serve func(net.Conn)
		want  error
	}{
		"cut before an answer":  {readRequest, ErrOutcomeUnknown},
		"cut without a read":    {func(net.Conn) {}, ErrOutcomeUnknown},
		"cut within the answer": {func(c net.Conn) { readRequest(c); _, _ = io.WriteString(c, accepted) }, ErrOutcomeUnknown},
		"cut within the header": {func(c net.Conn) { readRequest(c); _, _ = io.WriteString(c, accepted[:20]) }, ErrOutcomeUnknown},
		"not HTTP at all":       {func(c net.Conn) { readRequest(c); _, _ = io.WriteString(c, "SSH-2.0-x\r\n") }, ErrOutcomeUnknown},
		"cut within a problem": {func(c net.Conn) {
			readRequest(c)
			_, _ = io.WriteString(c, "HTTP/1.1 409 Conflict\r\nContent-Type: application/problem+json\r\nContent-Length: 1000\r\n\r\n{")
		}, ErrOutcomeUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			err := claim(t.Context(), newClient(t, listen(t, tt.serve)))
			if !errors.Is(err, tt.want) || errors.Is(err, ErrUnreachable) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestTimeoutAfterSendingLeavesTheOutcomeUnknown(t *testing.T) {
	got := make(chan struct{})
	release := make(chan struct{})
	addr := listen(t, func(c net.Conn) { readRequest(c); close(got); <-release })
	defer close(release)
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() { <-got; cancel(context.DeadlineExceeded) }()
	err := claim(ctx, newClient(t, addr))
	if !errors.Is(err, ErrOutcomeUnknown) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestRefusedConnectionWasSurelyNotProcessed(t *testing.T) {
	var lc net.ListenConfig
	listener, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := listener.Addr().String()
	_ = listener.Close()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for name, tt := range map[string]struct {
		ctx  context.Context
		addr string
		want string
	}{
		"nothing listens":   {t.Context(), "http://" + addr, "nothing listens there"},
		"no socket":         {t.Context(), "unix://" + filepath.Join(t.TempDir(), "x.sock"), "the socket does not exist"},
		"gave up before it": {ended, "http://" + addr, "canceled"},
	} {
		t.Run(name, func(t *testing.T) {
			err := claim(tt.ctx, newClient(t, tt.addr))
			if !errors.Is(err, ErrUnreachable) || errors.Is(err, ErrOutcomeUnknown) || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), tt.addr) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestNodeThatDiesBetweenRequestsIsUnreachable(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "{}") }))
	c := newClient(t, server.URL)
	if err := claim(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	server.Close() // closes the connection that the client keeps
	// The client notices the closed connection in its own time: until then it
	// may only say that it does not know.
	deadline := time.Now().Add(20 * time.Second)
	for {
		err := claim(t.Context(), c)
		if errors.Is(err, ErrUnreachable) {
			return
		}
		if !errors.Is(err, ErrOutcomeUnknown) || time.Now().After(deadline) {
			t.Fatalf("got %v, want ErrUnreachable", err)
		}
	}
}

func TestGatewaysAnswerLeavesTheOutcomeUnknown(t *testing.T) {
	for status, want := range map[int]func(error) bool{
		http.StatusBadGateway:     func(err error) bool { return errors.Is(err, ErrOutcomeUnknown) },
		http.StatusGatewayTimeout: func(err error) bool { return errors.Is(err, ErrOutcomeUnknown) },
		http.StatusNotFound:       func(err error) bool { return fleet.CodeOf(err) == fleet.CodeNotFound },
		http.StatusUnauthorized:   func(err error) bool { return fleet.CodeOf(err) == fleet.CodeUnauthenticated },
		http.StatusTeapot:         func(err error) bool { return fleet.CodeOf(err) == fleet.CodeInternal },
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "<html>", status) }))
		if err := claim(t.Context(), newClient(t, server.URL)); !want(err) {
			t.Errorf("status %d: %v", status, err)
		}
		server.Close()
	}
}

func TestAddresses(t *testing.T) {
	for addr, ok := range map[string]bool{
		"http://127.0.0.1:7948": true, "https://[::1]:7948": true, "https://node.example/": true, "unix:///run/x.sock": true,
		"": false, "127.0.0.1:7948": false, "http://": false, "http://h:1/path": false, "http://h:1?a=b": false,
		"ftp://h": false, "unix://x.sock": false, "http://user@h": false, "://": false,
	} {
		if _, err := New(addr, Options{}); (err == nil) != ok {
			t.Errorf("%q: %v, want it taken: %v", addr, err, ok)
		}
	}
}

func TestConnectionsAreUsedAgain(t *testing.T) {
	var connections atomic.Int32
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer secret" || r.Header.Get("User-Agent") != "tester" {
			http.Error(w, "no", http.StatusUnauthorized)
			return
		}
		if r.URL.Path == "/v1/hosts" {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusNotFound)
		}
		_, _ = io.WriteString(w, "{}\n")
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	c, err := New(server.URL, Options{Token: "secret", UserAgent: "tester"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for i := range 20 {
		if _, err := c.Flavors(t.Context()); err != nil {
			t.Fatalf("request %d: %v", i, err)
		}
		if _, err := c.Hosts(t.Context()); fleet.CodeOf(err) != "" || err == nil {
			t.Fatalf("request %d: %v", i, err)
		}
	}
	// One is enough; but net/http gives a connection up whose writer is late by
	// 50 ms, as it may be on a busy machine.
	if got := connections.Load(); got > 10 {
		t.Errorf("40 requests in a row took %d connections", got)
	}
}

func TestAllInstancesFollowsTheMarkers(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next := map[string]string{"": `"m1"`, "m1": `"m2"`, "m2": `""`}[r.URL.Query().Get("marker")]
		_, _ = fmt.Fprintf(w, `{"items":[{"name":"after %s"}],"coverage":{"heard":2,"known":3},"next":%s}`, r.URL.Query().Get("marker"), next)
	}))
	defer server.Close()
	got, err := newClient(t, server.URL).AllInstances(t.Context(), fleet.InstanceQuery{Project: "p"})
	if err != nil || len(got.Items) != 3 || got.Items[2].Name != "after m2" || got.Coverage.Known != 3 || got.Next != "" {
		t.Errorf("got %+v, %v", got, err)
	}
}
