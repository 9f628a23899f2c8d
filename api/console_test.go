package api

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"grapevine/api/client"
	"grapevine/fleet"
)

// echo is a console that says back what is typed, until it is ended.
type echo struct {
	*io.PipeReader
	guest *io.PipeWriter
}

func newEcho() *echo {
	r, w := io.Pipe()
	return &echo{r, w}
}

func (e *echo) Write(p []byte) (int, error) { return e.guest.Write(p) }

// door is a node whose consoles a test makes.
type door struct {
	*httptest.Server
	core *fakeCore

	mu     sync.Mutex
	visits []ConsoleVisit // guarded by mu
}

// newDoor serves to nobody in particular, so that only tokens open anything.
func newDoor(t *testing.T, console func() io.ReadWriteCloser, change func(*server)) *door {
	t.Helper()
	d := &door{core: full()}
	d.core.console = func(_ fleet.InstanceID, visit ConsoleVisit) (io.ReadWriteCloser, error) {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.visits = append(d.visits, visit)
		if visit.Token == "bad" {
			return nil, &fleet.Error{Code: fleet.CodeUnauthenticated, Detail: "the ticket is not good"}
		}
		return console(), nil
	}
	options := testOptions(d.core)
	options.Principal = byHeader
	s := newServer(d.core, options)
	if change != nil {
		change(s)
	}
	d.Server = httptest.NewServer(s.engine)
	t.Cleanup(d.Close)
	return d
}

func (d *door) url(query string) string {
	return strings.Replace(d.URL, "http", "ws", 1) + "/v1/instances/" + instanceText + "/console" + query
}

// open connects with a token.
func (d *door) open(t *testing.T) *websocket.Conn {
	t.Helper()
	ws, _, err := websocket.Dial(t.Context(), d.url("?token=good"), &websocket.DialOptions{Subprotocols: []string{"binary"}}) //nolint:bodyclose // websocket.Dial says that nobody needs to close it.
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ws.CloseNow() })
	if ws.Subprotocol() != "binary" {
		t.Errorf("subprotocol %q, want binary", ws.Subprotocol())
	}
	return ws
}

// closed reads until the node closes, and returns how.
func closed(t *testing.T, ws *websocket.Conn) websocket.CloseError {
	t.Helper()
	for {
		if _, _, err := ws.Read(t.Context()); err != nil {
			var told websocket.CloseError
			if !errors.As(err, &told) {
				t.Fatalf("got %v, want a close", err)
			}
			return told
		}
	}
}

func TestConsoleCarriesBytesBothWays(t *testing.T) {
	guest := newEcho()
	d := newDoor(t, func() io.ReadWriteCloser { return guest }, nil)
	ws := d.open(t)
	for _, typed := range []string{"hello", "\x00\xff\x1d", strings.Repeat("x", fleet.MaxConsoleMessage)} {
		if err := ws.Write(t.Context(), websocket.MessageText, []byte(strings.ToValidUTF8(typed, "?"))); err != nil {
			t.Fatal(err)
		}
		var shown []byte
		for len(shown) < len(typed) {
			kind, part, err := ws.Read(t.Context())
			if err != nil || kind != websocket.MessageBinary {
				t.Fatalf("read %v of kind %v", err, kind)
			}
			shown = append(shown, part...)
		}
		if string(shown) != strings.ToValidUTF8(typed, "?") {
			t.Errorf("typed %.20q, shown %.20q", typed, shown)
		}
	}
	if err := ws.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Error(err)
	}
	// The server answers the close before it lets go of the console.
	for {
		_, err := guest.guest.Write([]byte("x"))
		if errors.Is(err, io.ErrClosedPipe) {
			break
		}
		if err != nil {
			t.Fatalf("the console was not closed: %v", err)
		}
	}
}

func TestConsoleSaysWhyItEnds(t *testing.T) {
	for name, tt := range map[string]struct {
		err  error
		code websocket.StatusCode
		want string
	}{
		"stopped":    {io.EOF, websocket.StatusNormalClosure, "the machine has stopped"},
		"taken over": {&fleet.Error{Code: fleet.CodeConflict, Detail: "bob has taken it"}, websocket.StatusPolicyViolation, "bob has taken it"},
		"stopping":   {&fleet.Error{Code: fleet.CodeNotReady, Detail: "later"}, websocket.StatusGoingAway, "later"},
		"lost":       {errors.New(strings.Repeat("ü", 200)), websocket.StatusInternalError, "the console was lost: ü"},
	} {
		t.Run(name, func(t *testing.T) {
			guest := newEcho()
			ws := newDoor(t, func() io.ReadWriteCloser { return guest }, nil).open(t)
			_ = guest.guest.CloseWithError(tt.err)
			if got := closed(t, ws); got.Code != tt.code || !strings.HasPrefix(got.Reason, tt.want) {
				t.Errorf("closed with %d %q, want %d %q", got.Code, got.Reason, tt.code, tt.want)
			}
		})
	}
}

// deaf is a guest that prints nothing and takes nothing.
type deaf struct{ *echo }

func (d deaf) Write([]byte) (int, error) {
	_, err := d.Read(make([]byte, 1)) // until it is closed
	return 0, err
}

func TestConsoleThatLiesIdleOrDeafIsEnded(t *testing.T) {
	for name, tt := range map[string]struct {
		pace  pace
		guest io.ReadWriteCloser
		typed string
		want  string
	}{
		"idle": {pace{time.Millisecond, time.Minute, time.Millisecond}, newEcho(), "", "nothing was typed or shown for 1ms"},
		"deaf": {pace{time.Millisecond, 50 * time.Millisecond, time.Hour}, deaf{newEcho()}, "x", "the guest took nothing of what was typed for 50ms"},
	} {
		t.Run(name, func(t *testing.T) {
			ws := newDoor(t, func() io.ReadWriteCloser { return tt.guest }, func(s *server) { s.pace = tt.pace }).open(t)
			if tt.typed != "" {
				if err := ws.Write(t.Context(), websocket.MessageBinary, []byte(tt.typed)); err != nil {
					t.Fatal(err)
				}
			}
			if got := closed(t, ws); got.Code != websocket.StatusPolicyViolation || got.Reason != tt.want {
				t.Errorf("closed with %d %q, want %q", got.Code, got.Reason, tt.want)
			}
		})
	}
}

func TestConsoleMessageIsBounded(t *testing.T) {
	ws := newDoor(t, func() io.ReadWriteCloser { return newEcho() }, nil).open(t)
	if err := ws.Write(t.Context(), websocket.MessageBinary, make([]byte, fleet.MaxConsoleMessage+1)); err != nil {
		t.Fatal(err)
	}
	if got := closed(t, ws); got.Code != websocket.StatusMessageTooBig {
		t.Errorf("closed with %d %q, want %d", got.Code, got.Reason, websocket.StatusMessageTooBig)
	}
}

// endless is a guest that prints for ever, and counts.
type endless struct {
	printed atomic.Int64
	once    sync.Once
	ended   chan struct{}
}

func (e *endless) Read(p []byte) (int, error) {
	select {
	case <-e.ended:
		return 0, io.ErrClosedPipe
	default:
		e.printed.Add(int64(len(p)))
		return len(p), nil
	}
}

func (e *endless) Write(p []byte) (int, error) { return len(p), nil }

func (e *endless) Close() error {
	e.once.Do(func() { close(e.ended) })
	return nil
}

func TestClientThatTakesNothingHoldsUpTheGuestAndIsCutOff(t *testing.T) {
	guest := &endless{ended: make(chan struct{})}
	d := newDoor(t, func() io.ReadWriteCloser { return guest }, func(s *server) { s.pace.patience = 100 * time.Millisecond })
	d.open(t) // and never reads
	select {
	case <-guest.ended:
	case <-time.After(30 * time.Second):
		t.Fatal("the console goes on")
	}
	if n := guest.printed.Load(); n > 64<<20 {
		t.Errorf("%d bytes were taken of the guest for a client that takes none", n)
	}
}

func TestTokenOpensTheConsoleAndNothingElse(t *testing.T) {
	d := newDoor(t, func() io.ReadWriteCloser { return newEcho() }, nil)
	for route := range access {
		method, path, _ := strings.Cut(route, " ")
		if admits(route, Nobody) || route == consoleRoute {
			continue
		}
		target := strings.NewReplacer("{id}", instanceText, "{action}", "stop", "{name}", "n").Replace(path)
		req, err := http.NewRequestWithContext(t.Context(), method, d.URL+target+"?token=good", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s with a token: %s, want 401", route, resp.Status)
		}
	}
	for query, want := range map[string]int{
		"":             http.StatusUnauthorized, // nobody, and no token
		"?token=bad":   http.StatusUnauthorized,
		"?token=":      http.StatusUnauthorized,
		"?kind=serial": http.StatusUnauthorized,
	} {
		_, resp, err := websocket.Dial(t.Context(), d.url(query), nil) //nolint:bodyclose // websocket.Dial says that nobody needs to close it.
		if err == nil || resp.StatusCode != want {
			t.Errorf("%q: %v, want status %d", query, err, want)
		}
	}
	if len(d.visits) != 1 || d.visits[0].Token != "bad" {
		t.Errorf("the agent was asked for %+v, want the bad token alone", d.visits)
	}
}

func TestPageOfAnotherOriginNeedsAToken(t *testing.T) {
	d := newDoor(t, func() io.ReadWriteCloser { return newEcho() }, nil)
	open := func(query, role, origin string) (int, error) {
		header := http.Header{"Origin": {origin}}
		if role != "" {
			header.Set(roleHeader, role)
		}
		ws, resp, err := websocket.Dial(t.Context(), d.url(query), &websocket.DialOptions{HTTPHeader: header}) //nolint:bodyclose // websocket.Dial says that nobody needs to close it.
		if err == nil {
			_ = ws.CloseNow()
		}
		return resp.StatusCode, err
	}
	if status, err := open("", string(AsOperator), "https://evil.example"); status != http.StatusForbidden {
		t.Errorf("an operator's certificate in another's page: %d, %v; want 403", status, err)
	}
	if len(d.visits) != 0 {
		t.Error("the console was opened before the origin was judged")
	}
	if status, err := open("?token=good", "", "https://panel.example"); err != nil {
		t.Errorf("a ticket in another's page: %d, %v; want it open", status, err)
	}
	if status, err := open("?kind=vnc&force=true", string(AsOperator), d.URL); err != nil {
		t.Errorf("an operator's certificate in our own page: %d, %v; want it open", status, err)
	}
	if got := d.visits[len(d.visits)-1]; got.Kind != fleet.VNCConsole || !got.Force || got.Who.Role != AsOperator || got.From == "" {
		t.Errorf("the visit is %+v", got)
	}
}

func TestConsoleWithoutUpgradeIsRefused(t *testing.T) {
	r := do(t, full(), request{method: "GET", target: "/v1/instances/" + instanceText + "/console?token=x"})
	if p := problemIn(t, r); p.Code != fleet.CodeBadRequest || !strings.Contains(p.Detail, "WebSocket") {
		t.Errorf("got %+v", p)
	}
}

func TestTokenIsNotLogged(t *testing.T) {
	var log strings.Builder
	core := full()
	options := testOptions(core)
	options.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	doWith(t, NewHandler(core, options), request{method: "GET", target: "/v1/instances/" + instanceText + "/console?token=very-secret"})
	if !strings.Contains(log.String(), "request served") || strings.Contains(log.String(), "very-secret") {
		t.Errorf("logged: %s", log.String())
	}
}

// TestClientTrustsTheCertificateThatTheTicketNames needs TLS, so the door has it.
func TestClientTrustsTheCertificateThatTheTicketNames(t *testing.T) {
	d := newDoor(t, func() io.ReadWriteCloser { return newEcho() }, nil)
	secure := httptest.NewTLSServer(d.Config.Handler)
	t.Cleanup(secure.Close)
	asker, err := client.New("http://127.0.0.1:1", client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ticket := fleet.ConsoleTicket{
		URL:         strings.Replace(secure.URL, "https", "wss", 1) + "/v1/instances/" + instanceText + "/console?token=good",
		Fingerprint: fingerprint(secure),
	}
	console, err := asker.Console(t.Context(), ticket)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := console.Write([]byte("hello")); err != nil {
		t.Error(err)
	}
	shown := make([]byte, 5)
	if _, err := io.ReadFull(console, shown); err != nil || string(shown) != "hello" {
		t.Errorf("shown %q, %v", shown, err)
	}
	if err := console.Close(); err != nil {
		t.Error(err)
	}
	if _, err := console.Read(shown); !errors.Is(err, io.EOF) {
		t.Errorf("read after close: %v, want io.EOF", err)
	}
	ticket.Fingerprint = strings.Repeat("00", 32)
	if _, err := asker.Console(t.Context(), ticket); !errors.Is(err, client.ErrWrongCertificate) || strings.Contains(err.Error(), "token") {
		t.Errorf("another certificate: got %v, want ErrWrongCertificate without the token", err)
	}
	ticket.Fingerprint, ticket.URL = fingerprint(secure), strings.Replace(ticket.URL, "good", "bad", 1)
	if _, err := asker.Console(t.Context(), ticket); fleet.CodeOf(err) != fleet.CodeUnauthenticated || err.Error() != "the ticket is not good" {
		t.Errorf("a bad token: got %v, want the host's own words", err)
	}
	secure.Close()
	if _, err := asker.Console(t.Context(), ticket); !errors.Is(err, client.ErrUnreachable) || strings.Contains(err.Error(), "token") {
		t.Errorf("nobody there: got %v, want ErrUnreachable without the token", err)
	}
}

func fingerprint(s *httptest.Server) string {
	sum := sha256.Sum256(s.Certificate().Raw)
	return hex.EncodeToString(sum[:])
}
