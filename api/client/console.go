package client

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/coder/websocket"

	"grapevine/fleet"
)

// maxShown bounds one message of a console: a node sends 32 KiB at most.
const maxShown = 1 << 20

// ErrWrongCertificate says that the host to which a ticket leads does not show
// the certificate that the ticket names.
var ErrWrongCertificate = errors.New("certificate is not the one that the ticket names")

// OpenConsole asks for a ticket for a console of an instance.
func (c *Client) OpenConsole(ctx context.Context, id fleet.InstanceID, ask fleet.OpenConsole) (fleet.ConsoleTicket, error) {
	return send[fleet.ConsoleTicket](ctx, c, call{method: http.MethodPost, path: "/v1/instances/" + id.String() + "/console"}, ask)
}

// Console uses a ticket and returns the console, which the caller closes. It
// connects straight to the host that issued the ticket, and trusts it for the
// certificate that the ticket names; a client of a unix socket stays there.
// Ctx bounds the connecting alone.
func (c *Client) Console(ctx context.Context, ticket fleet.ConsoleTicket) (*Console, error) {
	target, err := url.Parse(ticket.URL)
	if err != nil {
		return nil, fmt.Errorf("read ticket: %w", err)
	}
	transport := c.transport
	if strings.HasPrefix(c.addr, "unix:") {
		target.Scheme, target.Host = "ws", "localhost"
	} else {
		transport = pinned(ticket.Fingerprint)
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout+handshakeTimeout)
	defer cancel()
	ws, resp, err := websocket.Dial(ctx, target.String(), &websocket.DialOptions{
		HTTPClient:   &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
		HTTPHeader:   http.Header{"User-Agent": {c.userAgent}},
		Subprotocols: []string{"binary"},
	})
	if err != nil {
		if resp != nil && resp.StatusCode >= http.StatusBadRequest {
			defer func() { _ = resp.Body.Close() }() // all that matters is read
			return nil, c.problem(resp)
		}
		return nil, &TransportError{Addr: target.Host, Err: withoutToken(err, target)}
	}
	ws.SetReadLimit(maxShown)
	return &Console{ws: ws, addr: target.Host}, nil
}

// withoutToken keeps the ticket out of what people see.
func withoutToken(err error, target *url.URL) error {
	if cause, ok := errors.AsType[*url.Error](err); ok {
		return cause.Err
	}
	if target.RawQuery != "" && strings.Contains(err.Error(), target.RawQuery) {
		return errors.New("the WebSocket did not open")
	}
	return err
}

// pinned connects to whoever shows this one certificate.
func pinned(fingerprint string) *http.Transport {
	config := &tls.Config{
		MinVersion:         tls.VersionTLS13,
		NextProtos:         []string{"http/1.1"},
		InsecureSkipVerify: true, // for one that verifies more
		VerifyConnection: func(state tls.ConnectionState) error {
			sum := sha256.Sum256(state.PeerCertificates[0].Raw)
			if hex.EncodeToString(sum[:]) != fingerprint {
				return ErrWrongCertificate
			}
			return nil
		},
	}
	dialer := &net.Dialer{Timeout: dialTimeout}
	return &http.Transport{DialContext: dialer.DialContext, DialTLSContext: dialTLS(dialer.DialContext, config), DisableKeepAlives: true}
}

// Console is a console that is open. One goroutine may read and another write.
type Console struct {
	ws   *websocket.Conn
	addr string
	rest []byte
}

// Read reads what the guest prints or draws. Its error is io.EOF when the
// machine has stopped or Close was called, and a *fleet.Error where the host ends
// the console for another reason or the connection is lost.
func (s *Console) Read(p []byte) (int, error) {
	for len(s.rest) == 0 {
		_, message, err := s.ws.Read(context.Background())
		if err != nil {
			return 0, s.ended(err)
		}
		s.rest = message
	}
	n := copy(p, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

// Write types.
func (s *Console) Write(p []byte) (int, error) {
	for done := 0; done < len(p); {
		part := p[done:min(done+fleet.MaxConsoleMessage/2, len(p))]
		if err := s.ws.Write(context.Background(), websocket.MessageBinary, part); err != nil {
			return done, s.ended(err)
		}
		done += len(part)
	}
	return len(p), nil
}

// ended says why the host has closed the console.
func (s *Console) ended(err error) error {
	var told websocket.CloseError
	if !errors.As(err, &told) {
		if errors.Is(err, net.ErrClosed) {
			return io.EOF
		}
		return &fleet.Error{Code: fleet.CodeHostUnreachable, Detail: fmt.Sprintf("the connection to %s was lost: %v", s.addr, err)}
	}
	code := fleet.CodeInternal
	switch told.Code {
	case websocket.StatusNormalClosure:
		return io.EOF
	case websocket.StatusGoingAway:
		code = fleet.CodeNotReady
	case websocket.StatusPolicyViolation:
		code = fleet.CodeConflict
	case websocket.StatusMessageTooBig:
		code = fleet.CodeTooLarge
	default:
	}
	return &fleet.Error{Code: code, Detail: "the host has ended the console: " + told.Reason}
}

// Close ends the console.
func (s *Console) Close() error {
	if err := s.ws.Close(websocket.StatusNormalClosure, ""); err != nil && !errors.Is(err, net.ErrClosed) {
		return s.ws.CloseNow()
	}
	return nil
}
