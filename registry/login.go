package registry

import (
	"context"
	"log/slog"
	"net/netip"
	"time"

	"grapevine/api"
	"grapevine/fleet"
	"grapevine/internal/throttle"
	"grapevine/people"
	"grapevine/people/tokens"
)

const (
	// triesPerSecond and triesAtOnce are how often one address may try to log in.
	triesPerSecond = 1
	triesAtOnce    = 20
	// hashesAtOnce bounds the passwords that are hashed at the same time: two take
	// 38 MiB and, of a machine with two cores, all of the time that there is.
	hashesAtOnce = 2
)

// login issues tokens, and tells who may have one.
type login struct {
	users   *users
	gate    *tokens.Gate
	tries   *throttle.Throttle
	hashing chan struct{}
	log     *slog.Logger
	metrics *metrics
	has     func(project string) people.Taken
}

// people is what the API asks about people; nil without a users file.
func (r *Registry) people(counts *metrics) api.People {
	if r.users == nil {
		return nil
	}
	return &login{
		users: r.users, gate: r.gate, tries: throttle.New(), hashing: make(chan struct{}, hashesAtOnce), log: r.deps.Log, metrics: counts,
		has: r.core.quotas.has,
	}
}

// IssueToken implements api.People.
func (l *login) IssueToken(ctx context.Context, ask fleet.IssueToken, from string) (fleet.Token, error) {
	token, err := l.issue(ctx, &ask, from)
	l.metrics.logins.WithLabelValues(outcome(err)).Inc()
	if err != nil {
		user := ask.User
		if l.users.book().RoleIn(user, "") == "" && l.users.book().ProjectsOf(user) == nil {
			user = "" // it may be a password that somebody typed into the wrong field
		}
		l.log.WarnContext(ctx, "login refused", "from", from, "user", user, "code", string(fleet.CodeOf(err)))
		return fleet.Token{}, err
	}
	l.log.InfoContext(ctx, "token issued", "from", from, "user", token.User, "project", token.Project, "role", token.Role, "token", token.ID.String())
	return token, nil
}

func (l *login) issue(ctx context.Context, ask *fleet.IssueToken, from string) (fleet.Token, error) {
	if !l.tries.Allow(neighbourhood(from), triesPerSecond, triesAtOnce, time.Now()) {
		return fleet.Token{}, &fleet.Error{Code: fleet.CodeTooMany, Detail: "too many logins were tried from this address; try again in a few seconds"}
	}
	book := l.users.book()
	who, err := l.prove(ctx, book, ask)
	if err != nil {
		return fleet.Token{}, err
	}
	role, project, err := book.Grant(who, ask.Project)
	if err != nil {
		return fleet.Token{}, err
	}
	signed, t, err := l.gate.Issue(who, role, project, book.TokenLife(), time.Now())
	if err != nil {
		return fleet.Token{}, err
	}
	return fleet.Token{Token: signed, ID: t.ID, User: t.User, Project: t.Project, Role: string(t.Role), IssuedAt: t.IssuedAt(), ExpiresAt: t.ExpiresAt()}, nil
}

// prove returns who has shown a password or a key. Passwords wait for their turn.
func (l *login) prove(ctx context.Context, book *people.Book, ask *fleet.IssueToken) (people.Who, error) {
	if ask.APIKey != "" {
		return book.ByKey(ask.APIKey)
	}
	select {
	case l.hashing <- struct{}{}:
	case <-ctx.Done():
		return people.Who{}, ctx.Err()
	}
	defer func() { <-l.hashing }()
	return book.ByPassword(ask.User, ask.Password)
}

// neighbourhood is by what logins are paced: an IPv4 address, or the /64 that
// somebody with IPv6 has for themselves.
func neighbourhood(from string) string {
	ip, err := netip.ParseAddr(from)
	if err != nil || ip.Unmap().Is4() {
		return from
	}
	net, err := ip.WithZone("").Prefix(64)
	if err != nil {
		return from
	}
	return net.String()
}

// Users implements api.People.
func (l *login) Users(context.Context) ([]fleet.User, error) {
	book := l.users.book()
	var out []fleet.User
	for _, u := range book.Users() {
		row := fleet.User{Name: u.Name, Role: string(u.Role), Disabled: u.Disabled, Projects: append([]string{}, book.ProjectsOf(u.Name)...), Keys: []string{}}
		for _, k := range u.Keys {
			row.Keys = append(row.Keys, k.Name)
		}
		out = append(out, row)
	}
	return out, nil
}

// Projects implements api.People.
func (l *login) Projects(context.Context) ([]fleet.Project, error) {
	var out []fleet.Project
	for _, p := range l.users.book().Projects() {
		out = append(out, projectRow(p, l.has(p.Name)))
	}
	return out, nil
}

// projectRow shows a project as the file has it, with what it has.
func projectRow(p *people.Project, has people.Taken) fleet.Project {
	return fleet.Project{
		Name: p.Name, Members: append([]string{}, p.Members...), Readers: append([]string{}, p.Readers...), Network: p.Network,
		Quota: p.Quota.ByResource(), Used: has.ByResource(),
	}
}
