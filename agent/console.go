package agent

import (
	"context"
	"io"
	"net/url"
	"slices"
	"time"

	"grapevine/agent/consoles"
	"grapevine/api"
	"grapevine/drivers"
	"grapevine/fleet"
)

// OpenConsole implements api.Writer for the machines of this host: it issues a
// ticket.
func (a *Agent) OpenConsole(_ context.Context, id fleet.InstanceID, ask fleet.OpenConsole, who api.Principal) (fleet.ConsoleTicket, error) {
	if _, err := a.consoler(id, ask.Kind); err != nil {
		return fleet.ConsoleTicket{}, err
	}
	token, until, err := a.tickets.Issue(consoles.Pass{Instance: id, OpenConsole: ask, Who: who.Word()})
	if err != nil {
		return fleet.ConsoleTicket{}, err
	}
	at := url.URL{
		Scheme: "wss", Host: a.state.base.API, Path: "/v1/instances/" + id.String() + "/console",
		RawQuery: url.Values{"token": {token}}.Encode(),
	}
	return fleet.ConsoleTicket{
		Instance: id, Kind: ask.Kind, Host: a.hostID, HostName: a.name(), URL: at.String(),
		Fingerprint: a.identity.Fingerprint(), ExpiresAt: until.UTC().Truncate(time.Millisecond),
	}, nil
}

// Console implements api.Node.
func (a *Agent) Console(ctx context.Context, id fleet.InstanceID, visit api.ConsoleVisit) (io.ReadWriteCloser, error) {
	pass := consoles.Pass{Instance: id, OpenConsole: visit.OpenConsole, Who: visit.Who.Word()}
	if visit.Token != "" {
		var ok bool
		if pass, ok = a.tickets.Redeem(visit.Token, id); !ok {
			a.metrics.badTickets.Inc()
			a.log.Warn("console refused: the ticket is not good", "instance", id.String(), "from", visit.From)
			return nil, errorf(fleet.CodeUnauthenticated,
				"the ticket for the console of instance %s is not good: it opens one console once, within %s; get another", id, fleet.ConsoleTicketLife)
		}
	}
	driver, err := a.consoler(id, pass.Kind)
	if err != nil {
		return nil, err
	}
	session, err := a.consoles.Open(ctx, pass, visit.From, func(ctx context.Context, force bool) (io.ReadWriteCloser, error) {
		console, err := driver.OpenConsole(ctx, id, pass.Kind, force)
		if err != nil {
			return nil, driverError("open console", err)
		}
		return console, nil
	})
	if err != nil {
		return nil, err
	}
	a.metrics.consolesOpened.WithLabelValues(string(pass.Kind)).Inc()
	a.log.Info("console opened", "instance", id.String(), "kind", string(pass.Kind), "who", pass.Who, "from", visit.From, "force", pass.Force)
	return session, nil
}

// consoler is the driver with its consoles, or why there is none of this kind
// for the machine.
func (a *Agent) consoler(id fleet.InstanceID, kind fleet.ConsoleKind) (drivers.Consoler, error) {
	a.state.mu.Lock()
	picture := a.observer.Picture()
	rows := a.state.rows(&picture, time.Now())
	row, err := a.writable(&rows, id)
	a.state.mu.Unlock()
	if err != nil {
		return nil, err
	}
	_, built := picture.Machines[id]
	if err := ours(row, built); err != nil {
		return nil, err
	}
	driver, ok := a.driver.(drivers.Consoler)
	switch {
	case !ok || !slices.Contains(picture.Description.Features, drivers.FeatureOf(kind)):
		return nil, errorf(fleet.CodeUnsupported, "%s on host %s has no %s console", row.Hypervisor, a.name(), kind)
	case !row.Power.Awake():
		return nil, errorf(fleet.CodeConflict, "instance %s is %s, and only one that runs has a console; start it with: grapevine instance start %s", id, row.Power, id)
	default:
		return driver, nil
	}
}

// consoleEnded is told of each console that has ended, and of those that never
// opened.
func (a *Agent) consoleEnded(s *consoles.Session) {
	if !s.Opened() {
		return
	}
	why := ""
	if err := s.Why(); err != nil {
		why = err.Error()
	}
	a.log.Info("console ended", "instance", s.Instance.String(), "kind", string(s.Kind), "who", s.Who, "from", s.From,
		"seconds", int(time.Since(s.Since).Seconds()), "typed_bytes", s.Typed.Load(), "shown_bytes", s.Shown.Load(), "why", why)
}
