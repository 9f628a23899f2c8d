package esxi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/coder/websocket"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/types"

	"grapevine/drivers"
	"grapevine/fleet"
	"grapevine/internal/pause"
)

var _ drivers.Consoler = (*Driver)(nil)

// A ticket of this kind is for RFB over a WebSocket at the host's own port, by
// the one subprotocol in which messages are nothing but RFB; the other that
// hosts know, vmware-vvc, is VMware's own.
const (
	ticketKind     = "webmks"
	rfbSubprotocol = "binary"
)

// OpenConsole implements drivers.Consoler: screens only. The host gives a ticket
// for one connection, and several may be open at a time.
func (d *Driver) OpenConsole(ctx context.Context, id fleet.InstanceID, kind fleet.ConsoleKind, _ bool) (io.ReadWriteCloser, error) {
	if kind != fleet.VNCConsole {
		return nil, fmt.Errorf("open console: %w: only screens", drivers.ErrUnsupported)
	}
	var conn *websocket.Conn
	err := d.do(ctx, fmt.Sprintf("open console of machine %s", id), func(ctx context.Context, s *session) error {
		m, err := d.managed(ctx, s, id)
		if err != nil {
			return err
		}
		if m.Power != fleet.PowerRunning {
			return drivers.ErrNotRunning
		}
		ticket, err := object.NewVirtualMachine(s.client, m.ref).AcquireTicket(ctx, ticketKind)
		if err != nil {
			return fmt.Errorf("acquire ticket: %w", err)
		}
		conn, err = s.redeem(ctx, d.url, ticket)
		return err
	})
	if err != nil {
		return nil, err
	}
	return d.screen(ctx, id, conn)
}

// redeem opens the connection that a ticket is for. It goes to the address that
// the host is configured with, whose certificate is trusted: the name in the
// ticket is the host's own and need not be known here.
func (s *session) redeem(ctx context.Context, at *url.URL, ticket *types.VirtualMachineTicket) (*websocket.Conn, error) {
	target := url.URL{Scheme: "wss", Host: at.Host, Path: "/ticket/" + ticket.Ticket}
	if ticket.Port != 0 {
		target.Host = net.JoinHostPort(at.Hostname(), strconv.Itoa(int(ticket.Port)))
	}
	client := &http.Client{Transport: s.client.Client.Client.Transport}
	options := &websocket.DialOptions{HTTPClient: client, Subprotocols: []string{rfbSubprotocol}}
	conn, res, err := websocket.Dial(ctx, target.String(), options) //nolint:bodyclose // the library says that there is nothing to close.
	if err != nil {
		if res != nil && res.StatusCode != http.StatusSwitchingProtocols {
			err = statusError(res)
		}
		return nil, fmt.Errorf("use ticket: %w", err)
	}
	if conn.Subprotocol() != rfbSubprotocol {
		_ = conn.CloseNow()
		return nil, fmt.Errorf("use ticket: %w: the host does not speak the subprotocol %s", drivers.ErrUnsupported, rfbSubprotocol)
	}
	conn.SetReadLimit(-1) // a message may be a whole picture; nothing of it is piled up
	return conn, nil
}

// screen is a console that is open.
type screen struct {
	net.Conn
	d     *Driver
	id    fleet.InstanceID
	life  context.Context //nolint:containedctx // ends with the driver, or when it is closed.
	close func()
	once  sync.Once
	why   error // why there is no more to read; set once
}

// screen makes a console of a connection, which then lives until it is closed,
// or the driver is.
func (d *Driver) screen(ctx context.Context, id fleet.InstanceID, conn *websocket.Conn) (*screen, error) {
	life, done, err := d.begin(context.WithoutCancel(ctx))
	if err != nil {
		return nil, errors.Join(err, conn.CloseNow())
	}
	end := sync.OnceFunc(func() {
		_ = conn.CloseNow() // the machine goes on, and the host knows nothing of us to lose
		done()
	})
	context.AfterFunc(life, end)
	return &screen{Conn: websocket.NetConn(life, conn, websocket.MessageBinary), d: d, id: id, life: life, close: end}, nil
}

// Read implements io.Reader.
func (s *screen) Read(p []byte) (int, error) {
	n, err := s.Conn.Read(p)
	if err == nil || n > 0 {
		return n, nil
	}
	s.once.Do(func() { s.why = s.ended(err) })
	return 0, s.why
}

// Write implements io.Writer.
func (s *screen) Write(p []byte) (int, error) {
	n, err := s.Conn.Write(p)
	if err != nil {
		err = fmt.Errorf("%w: write to console: %w", drivers.ErrUnavailable, err)
	}
	return n, err
}

// Close implements io.Closer.
func (s *screen) Close() error {
	s.close()
	return nil
}

// How often, and how long, a host is asked what became of a machine whose
// screen has ended. It says so a moment after the screen shows it.
const (
	askWhyEvery = 100 * time.Millisecond
	askWhyFor   = 3 * time.Second
)

// ended says what the end of a connection means. The host closes it when the
// machine stops, in no way that tells this from anything else.
func (s *screen) ended(err error) error {
	ctx, cancel := context.WithTimeout(s.life, askWhyFor)
	defer cancel()
	for {
		m, asked := s.d.Inspect(ctx, s.id)
		switch {
		case s.life.Err() != nil:
			return context.Cause(s.life)
		case errors.Is(asked, drivers.ErrNotFound), asked == nil && m.Power != fleet.PowerRunning && m.Power != fleet.PowerUnknown:
			return io.EOF
		case errors.Is(asked, drivers.ErrUnavailable), !pause.UpTo(ctx, askWhyEvery):
			return fmt.Errorf("%w: the console has ended: %w", drivers.ErrUnavailable, err)
		}
	}
}
