package cli

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/term"

	"grapevine/fleet"
	"grapevine/test/built"
)

// consoleNode is a fleetNode that gives out tickets for consoles of a host, at
// which attend serves them.
func consoleNode(t *testing.T, attend func(context.Context, *websocket.Conn)) *node {
	t.Helper()
	host := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"binary"}})
		if err != nil {
			t.Error(err)
			return
		}
		defer ws.CloseNow()
		attend(r.Context(), ws)
	}))
	t.Cleanup(host.Close)
	sum := sha256.Sum256(host.Certificate().Raw)
	n := fleetNode(t)
	n.answer("POST /v1/instances/{id}/console", http.StatusOK, fleet.ConsoleTicket{
		Instance: id(0x11111111), Kind: fleet.SerialConsole, HostName: "kvm-1",
		URL: strings.Replace(host.URL, "https", "wss", 1) + "/console?token=one-time", Fingerprint: hex.EncodeToString(sum[:]),
	})
	return n
}

// echoing says back what is typed, in upper case.
func echoing(ctx context.Context, ws *websocket.Conn) {
	for {
		_, typed, err := ws.Read(ctx)
		if err != nil {
			return
		}
		if err := ws.Write(ctx, websocket.MessageBinary, bytes.ToUpper(typed)); err != nil {
			return
		}
	}
}

// buffer may be written by one goroutine and read by another.
type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer // guarded by mu
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func (b *buffer) awaits(t *testing.T, text string) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !strings.Contains(b.String(), text) {
		if time.Now().After(deadline) {
			t.Fatalf("%q was not printed: %q", text, b.String())
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// sitting is a command that has a terminal.
type sitting struct {
	keyboard, tty *os.File
	before        *term.State
	out, errOut   buffer
	stop          context.CancelFunc
	code          chan int
}

func sit(t *testing.T, n *node, args ...string) *sitting {
	t.Helper()
	s := &sitting{code: make(chan int, 1)}
	s.keyboard, s.tty = built.PTY(t)
	var err error
	if s.before, err = term.GetState(int(s.tty.Fd())); err != nil {
		t.Fatal(err)
	}
	a := &app{
		in: s.tty, out: &s.out, errOut: &s.errOut, now: func() time.Time { return today },
		lookup: func(name string) (string, bool) { return n.URL, name == "GRAPEVINE_ADDR" },
		format: asTable, defaultAddr: "http://127.0.0.1:1", localSocket: filepath.Join(t.TempDir(), "agent.sock"),
	}
	ctx, cancel := context.WithCancel(t.Context())
	s.stop = cancel
	go func() { s.code <- a.main(ctx, append([]string{"instance", "console", "web"}, args...)) }()
	t.Cleanup(cancel)
	return s
}

func (s *sitting) types(t *testing.T, keys string) {
	t.Helper()
	if _, err := io.WriteString(s.keyboard, keys); err != nil {
		t.Fatal(err)
	}
}

// ends checks how the command ended, and that the terminal is as it was.
func (s *sitting) ends(t *testing.T, code int, said string) {
	t.Helper()
	select {
	case got := <-s.code:
		if got != code || !strings.Contains(s.errOut.String(), said) {
			t.Errorf("exit code %d, stderr %q; want %d and %q", got, s.errOut.String(), code, said)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("the command goes on")
	}
	after, err := term.GetState(int(s.tty.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(after, s.before) {
		t.Error("the terminal is not as it was")
	}
}

func TestConsoleHandsOverEveryKeyUntilTheEscapeKey(t *testing.T) {
	s := sit(t, consoleNode(t, echoing))
	s.errOut.awaits(t, "connected to web on kvm-1; Ctrl-] ends it")
	s.types(t, "abc\x03\x1a\x04\x1cdef")
	s.out.awaits(t, "ABC\x03\x1a\x04\x1cDEF")
	s.types(t, "last\x1dnot this")
	s.ends(t, 0, "left the console of web")
	if strings.Contains(s.out.String(), "NOT THIS") {
		t.Error("what came after the escape key was sent")
	}
}

func TestConsoleTakesAnotherEscapeKeyOrNone(t *testing.T) {
	s := sit(t, consoleNode(t, echoing), "--escape", "^a")
	s.errOut.awaits(t, "Ctrl-A ends it")
	s.types(t, "x\x1d")
	s.out.awaits(t, "X\x1d")
	s.types(t, "\x01")
	s.ends(t, 0, "left the console")

	s = sit(t, consoleNode(t, echoing), "--escape", "none")
	s.errOut.awaits(t, "it goes on until the machine stops")
	s.types(t, "x\x1d\x01")
	s.out.awaits(t, "X\x1d\x01")
	s.stop() // a signal
	s.ends(t, 0, "left the console")
	for _, wrong := range []string{"", "a", "^", "^1", "^@", "^]x"} {
		run(t, fleetNode(t).URL, "instance", "console", "web", "--escape", wrong).wants(t, 2, "", "is not ^ and a letter")
	}
}

func TestConsoleSaysWhyTheHostEndsIt(t *testing.T) {
	for name, tt := range map[string]struct {
		end  func(*websocket.Conn)
		code int
		want string
	}{
		"stopped":    {func(ws *websocket.Conn) { _ = ws.Close(websocket.StatusNormalClosure, "") }, 0, "the machine has stopped"},
		"taken over": {func(ws *websocket.Conn) { _ = ws.Close(websocket.StatusPolicyViolation, "bob has it") }, 1, "the host has ended the console: bob has it"},
		"lost":       {func(ws *websocket.Conn) { _ = ws.CloseNow() }, 1, " was lost: "},
	} {
		t.Run(name, func(t *testing.T) {
			s := sit(t, consoleNode(t, func(ctx context.Context, ws *websocket.Conn) {
				_ = ws.Write(ctx, websocket.MessageBinary, []byte("last words"))
				tt.end(ws)
			}))
			s.ends(t, tt.code, tt.want)
			if s.out.String() != "last words" {
				t.Errorf("printed %q", s.out.String())
			}
		})
	}
}

func TestConsoleWithoutATerminalIsForScripts(t *testing.T) {
	n := consoleNode(t, func(ctx context.Context, ws *websocket.Conn) {
		_, typed, err := ws.Read(ctx)
		if err == nil {
			_ = ws.Write(ctx, websocket.MessageBinary, append([]byte("heard "), typed...))
		}
		_ = ws.Close(websocket.StatusNormalClosure, "")
	})
	var out, errOut bytes.Buffer
	a := &app{
		in: strings.NewReader("a line\n"), out: &out, errOut: &errOut, now: time.Now, format: asTable, defaultAddr: "http://127.0.0.1:1",
		lookup: func(name string) (string, bool) { return n.URL, name == "GRAPEVINE_ADDR" },
	}
	if code := a.main(t.Context(), []string{"instance", "console", "web"}); code != 0 || out.String() != "heard a line\n" {
		t.Errorf("exit code %d, printed %q, %s", code, out.String(), errOut.String())
	}
}

func TestVNCIsServedToAViewer(t *testing.T) {
	n := consoleNode(t, echoing)
	s := sit(t, n, "--vnc", "--force")
	s.out.awaits(t, "\n")
	for range 2 { // one after the other
		viewer, err := net.Dial("tcp", strings.TrimSpace(s.out.String()))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(viewer, "rfb"); err != nil {
			t.Fatal(err)
		}
		shown := make([]byte, 3)
		if _, err := io.ReadFull(viewer, shown); err != nil || string(shown) != "RFB" {
			t.Errorf("shown %q, %v", shown, err)
		}
		_ = viewer.Close()
	}
	s.stop()
	s.ends(t, 0, "for a VNC viewer")
	for _, asked := range n.requests(http.MethodPost) {
		if asked.Body != `{"kind":"vnc","force":true}` {
			t.Errorf("asked for %s", asked.Body)
		}
	}
	for _, wrong := range []string{"0.0.0.0:5901", "192.0.2.1:5901", "localhost", ":5901"} {
		run(t, n.URL, "instance", "console", "web", "--vnc", "--listen", wrong).wants(t, 2, "", "--listen")
	}
}

func TestConsoleURLIsPrintedForBrowsers(t *testing.T) {
	n := consoleNode(t, echoing)
	run(t, n.URL, "instance", "console", "web", "--url").wants(t, 0, "/console?token=one-time\n", "")
	run(t, n.URL, "instance", "console", "web", "--url", "-o", "json").wants(t, 0, `"fingerprint"`, "")
}
