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
	"grapevine/people/openid"
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
	oidc    *openid.Provider // nil for none
	scopes  []string
	has     func(project string) people.Taken
}

// people is what the API asks about people; nil without a users file.
func (r *Registry) people(counts *metrics) api.People {
	if r.users == nil {
		return nil
	}
	return &login{
		users: r.users, gate: r.gate, tries: throttle.New(), hashing: make(chan struct{}, hashesAtOnce), log: r.deps.Log, metrics: counts,
		has: r.core.quotas.has, oidc: r.oidc, scopes: r.cfg.OIDC.Scopes,
	}
}

// IssueToken implements api.People.
func (l *login) IssueToken(ctx context.Context, ask fleet.IssueToken, from string) (fleet.Token, error) {
	token, err := l.issue(ctx, &ask, from)
	l.metrics.logins.WithLabelValues(outcome(err)).Inc()
	if err != nil {
		user := ask.User
		if l.users.book().RoleIn(user, "") == "" && l.users.book().ProjectsOf(user) == nil {
			user = "" // of an ID token it is not told, and it may be a password that somebody typed into the wrong field
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
	grant, err := book.Grant(who, ask.Project)
	if err != nil {
		return fleet.Token{}, err
	}
	signed, t, err := l.gate.Issue(grant, book.TokenLife(), time.Now())
	if err != nil {
		return fleet.Token{}, err
	}
	return fleet.Token{Token: signed, ID: t.ID, User: t.User, Project: t.Project, Role: string(t.Role), IssuedAt: t.IssuedAt(), ExpiresAt: t.ExpiresAt()}, nil
}

// prove returns who has shown a password or a key. Passwords wait for their turn.
func (l *login) prove(ctx context.Context, book *people.Book, ask *fleet.IssueToken) (people.Who, error) {
	switch {
	case ask.IDToken != "":
		return l.outsider(ctx, ask.IDToken)
	case ask.APIKey != "":
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

// errNoProvider is of a registry that takes no ID tokens.
var errNoProvider = &fleet.Error{Code: fleet.CodeUnsupported, Detail: "this registry takes no ID tokens, for it has no OpenID provider ([oidc] in registry.toml); log in with a password or an API key"}

// outsider returns who an ID token shows. One that is older than a revocation of its
// user is refused, or whoever has stolen it would get a new token for it.
func (l *login) outsider(ctx context.Context, idToken string) (people.Who, error) {
	if l.oidc == nil {
		return people.Who{}, errNoProvider
	}
	said, err := l.oidc.Judge(ctx, idToken, time.Now())
	if err != nil {
		return people.Who{}, err
	}
	who, err := people.Outsider(said.User, said.Groups)
	if err != nil {
		return people.Who{}, err
	}
	if l.gate.Revoked(&people.Token{User: who.User, IssuedMS: said.IssuedAt.UnixMilli()}) {
		return people.Who{}, &fleet.Error{Code: fleet.CodeUnauthenticated, Detail: "all tokens of this user were revoked after the OpenID provider issued this ID token; log in there again"}
	}
	return who, nil
}

// Login implements api.People.
func (l *login) Login(context.Context) (fleet.Login, error) {
	ways := fleet.Login{Passwords: true}
	if l.oidc != nil {
		ways.OIDC = &fleet.OIDCLogin{Issuer: l.oidc.Issuer(), ClientID: l.oidc.ClientID(), Scopes: l.scopes}
	}
	return ways, nil
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
