package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"grapevine/fleet"
)

// pace is how long the parts of a console may take.
type pace struct {
	ping     time.Duration // between questions whether the client is there
	patience time.Duration // for its answer, for what it is sent, and for the guest to take what is typed
	idle     time.Duration // without a byte in either direction
}

var consolePace = pace{ping: 20 * time.Second, patience: 30 * time.Second, idle: fleet.ConsoleIdle}

const (
	// consoleChunk is what is read of a guest at once; it makes one message.
	consoleChunk = 32 << 10
	// maxReason bounds the reason of a close, RFC 6455.
	maxReason = 123
)

// ending is why a console ends, as the client is told.
type ending struct {
	code   websocket.StatusCode
	reason string
}

// attended is a console with a client on a WebSocket.
type attended struct {
	pace
	ws      *websocket.Conn
	console io.ReadWriteCloser
	began   time.Time
	last    atomic.Int64 // how long after began a byte last went either way
	typing  atomic.Bool  // the guest is being given what was typed
	ends    chan ending  // of each of the three who attend
}

// serveConsole upgrades the request and attends until either side ends.
func serveConsole(w http.ResponseWriter, r *http.Request, console io.ReadWriteCloser, pace pace) {
	defer func() { _ = console.Close() }() // there is nobody to tell
	ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		Subprotocols:       []string{"binary"}, // what noVNC offers
		InsecureSkipVerify: true,               // the origin was judged before
	})
	if err != nil {
		return // Accept has answered
	}
	ws.SetReadLimit(fleet.MaxConsoleMessage)
	a := &attended{pace: pace, ws: ws, console: console, began: time.Now()}
	a.attend(r.Context())
}

// attend carries bytes both ways until one side ends, tells the client why, and
// returns when nobody uses the console any more.
func (a *attended) attend(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	a.ends = make(chan ending, 3)
	var all sync.WaitGroup
	for _, part := range []func(context.Context) ending{a.show, a.takeTyped, a.watch} {
		all.Go(func() { a.ends <- part(ctx) })
	}
	end := <-a.ends
	_ = a.console.Close()                 // first, so that the next need not wait; ends a Read and a Write under way
	_ = a.ws.Close(end.code, end.short()) // one that is gone hears nothing
	cancel()
	all.Wait()
}

// short is the reason as long as a close may carry it.
func (e ending) short() string {
	if len(e.reason) <= maxReason {
		return e.reason
	}
	return strings.ToValidUTF8(e.reason[:maxReason], "")
}

func (a *attended) touch() { a.last.Store(int64(time.Since(a.began))) }

// show sends what the guest prints. A client that does not take it holds up the
// guest, and after a while loses the console.
func (a *attended) show(ctx context.Context) ending {
	chunk := make([]byte, consoleChunk)
	for {
		n, err := a.console.Read(chunk)
		if n > 0 {
			a.touch()
			within, cancel := context.WithTimeout(ctx, a.patience)
			werr := a.ws.Write(within, websocket.MessageBinary, chunk[:n])
			cancel()
			if werr != nil {
				return ending{websocket.StatusPolicyViolation, fmt.Sprintf("nothing was taken for %s", a.patience)}
			}
		}
		if err != nil {
			return endingOf(err)
		}
	}
}

// takeTyped gives the guest what the client sends.
func (a *attended) takeTyped(ctx context.Context) ending {
	for {
		_, typed, err := a.ws.Read(ctx)
		if err != nil {
			return ending{websocket.StatusNormalClosure, ""} // the client has ended it, or is gone
		}
		a.touch()
		a.typing.Store(true)
		_, err = a.console.Write(typed)
		a.typing.Store(false)
		if err != nil {
			a.await(ctx) // the reader hears why; here it is only closed
			return endingOf(err)
		}
	}
}

// await gives another part time to say why the console has ended.
func (a *attended) await(ctx context.Context) {
	timer := time.NewTimer(a.patience)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// watch ends a console whose client does not answer or that lies idle.
func (a *attended) watch(ctx context.Context) ending {
	tick := time.NewTicker(a.ping)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ending{}
		case <-tick.C:
		}
		if time.Since(a.began)-time.Duration(a.last.Load()) > a.idle {
			return ending{websocket.StatusPolicyViolation, fmt.Sprintf("nothing was typed or shown for %s", a.idle)}
		}
		within, cancel := context.WithTimeout(ctx, a.patience)
		err := a.ws.Ping(within)
		cancel()
		if err == nil {
			continue
		}
		if a.typing.Load() { // so that nobody reads the answer
			return ending{websocket.StatusPolicyViolation, fmt.Sprintf("the guest took nothing of what was typed for %s", a.patience)}
		}
		return ending{websocket.StatusPolicyViolation, fmt.Sprintf("no answer to a ping for %s", a.patience)}
	}
}

// endingOf says why a console has ended.
func endingOf(err error) ending {
	var told *fleet.Error
	switch {
	case errors.Is(err, io.EOF):
		return ending{websocket.StatusNormalClosure, "the machine has stopped"}
	case errors.As(err, &told) && told.Code == fleet.CodeNotReady:
		return ending{websocket.StatusGoingAway, told.Detail}
	case errors.As(err, &told):
		return ending{websocket.StatusPolicyViolation, told.Detail}
	default:
		return ending{websocket.StatusInternalError, "the console was lost: " + err.Error()}
	}
}
