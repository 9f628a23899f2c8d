package api

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"

	"grapevine/fleet"
)

// consoleRoute is the WebSocket, and tokenParameter where a ticket's token is
// in its query.
const (
	consolePath    = "/v1/instances/{id}/console"
	consoleRoute   = http.MethodGet + " " + consolePath
	tokenParameter = "token"
)

type openConsoleIn struct {
	ID   string `path:"id" doc:"the instance's id"`
	Body fleet.OpenConsole

	who Principal
}

// Resolve implements huma.Resolver.
func (in *openConsoleIn) Resolve(hc huma.Context) []error {
	in.who = principalOf(humagin.Unwrap(hc))
	return nil
}

type consoleIn struct {
	ID    string `path:"id" doc:"the instance's id"`
	Token string `query:"token" doc:"of a ticket, which says what is opened; whoever shows it needs no certificate"`
	Kind  string `query:"kind" enum:"serial,vnc" default:"serial" doc:"what to open, without a ticket"`
	Force bool   `query:"force" doc:"without a ticket: take the console over"`

	who     Principal
	request *http.Request
}

// Resolve implements huma.Resolver.
func (in *consoleIn) Resolve(hc huma.Context) []error {
	c := humagin.Unwrap(hc)
	in.who, in.request = principalOf(c), c.Request
	return nil
}

func (s *server) addConsoles() {
	add(s, route{
		method: http.MethodPost, path: consolePath, id: "open-console", tag: "consoles", summary: "Get a ticket for a console of an instance",
		description: "Its host issues the ticket, whose URL opens the console once, within 30 seconds, at that host, for whoever has it.",
	}, s.openConsole)
	if s.opts.Node == nil {
		return
	}
	add(s, route{
		method: http.MethodGet, path: consolePath, id: "console", tag: "consoles", summary: "Sit down in front of an instance of this host",
		description: "A WebSocket, served by agents alone. Messages in both directions are bytes of the serial port, or of VNC (RFB, RFC 6143), cut anywhere; " +
			"those of the server are binary. The subprotocol \"binary\" is spoken where it is offered. " +
			"The server closes with 1000 when the machine has stopped, with 1001 when the agent stops, and with 1008 when the console was taken over or lay idle for an hour; the reason says so.",
	}, s.console)
	op := s.api.OpenAPI().Paths[consolePath].Get
	op.Responses["101"] = &huma.Response{Description: "Switching Protocols"}
	delete(op.Responses, "200")
	delete(op.Responses, "204")
}

func (s *server) openConsole(ctx context.Context, in *openConsoleIn) (*out[fleet.ConsoleTicket], error) {
	id, err := parseID("instance", in.ID)
	if err != nil {
		return nil, err
	}
	if err := in.Body.Validate(); err != nil {
		return nil, err
	}
	ticket, err := s.core.OpenConsole(ctx, id, in.Body, in.who)
	if err != nil {
		return nil, err
	}
	return &out[fleet.ConsoleTicket]{ticket}, nil
}

// console opens the console before the upgrade, so that a refusal is an ordinary
// answer.
func (s *server) console(ctx context.Context, in *consoleIn) (*stream, error) {
	id, err := parseID("instance", in.ID)
	if err != nil {
		return nil, err
	}
	if !strings.EqualFold(in.request.Header.Get("Upgrade"), "websocket") {
		return nil, badRequest("a console is a WebSocket; use: grapevine instance console %s", id)
	}
	// Whoever holds a token was given it: a page of any origin may use it. What
	// a browser sends by itself, a certificate, is taken from our own pages only.
	if in.Token == "" && !sameOrigin(in.request) {
		return nil, &fleet.Error{Code: fleet.CodeForbidden, Detail: "a page of another origin needs a ticket for the console; get one with POST"}
	}
	visit := ConsoleVisit{Token: in.Token, Who: in.who, From: in.request.RemoteAddr}
	visit.Kind, visit.Force = fleet.ConsoleKind(in.Kind), in.Force
	console, err := s.opts.Node.Console(ctx, id, visit)
	if err != nil {
		return nil, err
	}
	return &stream{func(hc huma.Context) {
		c := humagin.Unwrap(hc)
		serveConsole(c.Writer, c.Request, console, s.pace)
	}}, nil
}

// sameOrigin reports whether a request comes from no page, or from one of the
// host that it is sent to.
func sameOrigin(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return true
	}
	page, err := url.Parse(origin)
	return err == nil && strings.EqualFold(page.Host, r.Host)
}
