package api

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"grapevine/fleet"
)

// pipes is a listener whose connections are in memory, so that their deadlines
// pass in virtual time.
type pipes struct {
	come  chan net.Conn
	once  sync.Once
	ended chan struct{}
}

func newPipes() *pipes { return &pipes{come: make(chan net.Conn), ended: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.come:
		return c, nil
	case <-p.ended:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.ended) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

// dial connects from an address.
func (p *pipes) dial(from string) net.Conn {
	near, far := net.Pipe()
	p.come <- &cameFrom{Conn: far, from: from}
	return near
}

type cameFrom struct {
	net.Conn
	from string
}

func (c *cameFrom) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.ParseIP(c.from), Port: 1} }

// serveInMemory serves until the test's end.
func serveInMemory(t *testing.T, handler http.Handler, log *slog.Logger) *pipes {
	t.Helper()
	p := newPipes()
	server := NewServer(handler, log)
	done := make(chan struct{})
	go func() {
		_ = server.Serve(p)
		close(done)
	}()
	t.Cleanup(func() {
		_ = server.Close()
		<-done
	})
	return p
}

// Whatever part of a request does not come: the connection ends within a
// minute, and what was asked for has not been done.
func TestSlowRequestsAreEndedWhateverIsMissing(t *testing.T) {
	const body = "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
	for name, text := range map[string]string{
		"nothing at all":              "",
		"half of a header":            "GET /v1/hosts HTTP/1.1\r\nHost: x\r\nX-",
		"a JSON body":                 "POST /v1/instances HTTP/1.1\r\nHost: x\r\n" + body,
		"a body that nobody wants":    "GET /v1/hosts HTTP/1.1\r\nHost: x\r\n" + body,
		"a chunk that nobody wants":   "DELETE /v1/instances/" + fleet.UUID{0: 1}.String() + " HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
		"a body for no route":         "POST /v1/nowhere HTTP/1.1\r\nHost: x\r\n" + body,
		"a body for no method":        "PATCH /v1/hosts HTTP/1.1\r\nHost: x\r\n" + body,
		"the files of an image":       "POST /v1/images HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 100\r\n\r\n--b\r\n",
		"a part of an upload":         "PATCH /v1/images/" + strings.Repeat("a", 64) + "/upload?host=" + fleet.UUID{0: 1}.String() + " HTTP/1.1\r\nHost: x\r\nUpload-Offset: 0\r\nUpload-Complete: ?1\r\nContent-Type: application/partial-upload\r\nContent-Length: 100\r\n\r\nx",
		"the rest after a whole body": "POST /v1/instances HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				for _, as := range []PrincipalRole{AsOperator, Nobody} {
					core := full()
					handler := NewHandler(core, Options{Principal: func(*http.Request) Principal { return Principal{Role: as} }})
					conn := serveInMemory(t, handler, slog.New(slog.DiscardHandler)).dial("192.0.2.1")
					go func() { _, _ = io.WriteString(conn, text) }()
					began := time.Now()
					_, _ = io.Copy(io.Discard, conn) // the answer, and then the end
					if took := time.Since(began); took > time.Minute {
						t.Errorf("as %q: the connection was open for %v", as, took)
					}
					_ = conn.Close()
				}
			})
		})
	}
}

// A reply may be held for as long as it takes: what bounds the body ends with
// it.
func TestReplyIsHeldLongerThanABodyMayTake(t *testing.T) {
	at := "/v1/instances/" + instanceID.String()
	for name, text := range map[string]string{
		"a JSON body":   "POST " + at + "/resize?wait=5m HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 17\r\n\r\n{\"flavor\":\"nano\"}",
		"an empty body": "POST " + at + "/start?wait=5m HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				core := full()
				var held error
				core.await = func(ctx context.Context, _ fleet.InstanceID, _ fleet.Version) (*fleet.Instance, error) {
					select {
					case <-time.After(4 * bodyTimeout):
						return &fleet.Instance{ID: instanceID}, nil
					case <-ctx.Done():
						held = ctx.Err()
						return nil, held
					}
				}
				handler := NewHandler(core, Options{Principal: func(*http.Request) Principal { return Principal{Role: AsOperator} }})
				conn := serveInMemory(t, handler, slog.New(slog.DiscardHandler)).dial("192.0.2.1")
				defer conn.Close()
				go func() { _, _ = io.WriteString(conn, text) }()
				answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
				if err != nil {
					t.Fatal(err)
				}
				defer answer.Body.Close()
				if held != nil || answer.StatusCode >= 300 {
					t.Errorf("the reply is %s, and while it was held: %v", answer.Status, held)
				}
			})
		})
	}
}

// Whoever takes all connections of one address takes them from nobody else, and
// is told of in the log once.
func TestConnectionsOfOneAddressAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var logged strings.Builder
		p := serveInMemory(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), slog.New(slog.NewTextHandler(&logged, nil)))
		var greedy []net.Conn
		for range fleet.MaxConnectionsEach {
			greedy = append(greedy, p.dial("192.0.2.1"))
		}
		synctest.Wait()
		for range 3 {
			refused := p.dial("192.0.2.1")
			began := time.Now()
			if _, err := refused.Read(make([]byte, 1)); err == nil || time.Since(began) > 0 {
				t.Errorf("one connection too many: %v after %v", err, time.Since(began))
			}
		}
		answers := func(from string) error {
			conn := p.dial(from)
			defer conn.Close()
			go func() { _, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n") }()
			answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				return fmt.Errorf("%s is not answered: %w", from, err)
			}
			return answer.Body.Close()
		}
		if err := answers("192.0.2.2"); err != nil {
			t.Error(err)
		}
		if n := strings.Count(logged.String(), "too many are open"); n != 1 {
			t.Errorf("the log tells of it %d times:\n%s", n, &logged)
		}
		_ = greedy[0].Close()
		synctest.Wait()
		if err := answers("192.0.2.1"); err != nil {
			t.Errorf("after one has gone: %v", err)
		}
	})
}
