package api

import (
	"context"
	"net"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"

	"grapevine/fleet"
)

// People is what a registry knows of who may use the fleet.
type People interface {
	// IssueToken returns a token for whoever shows a password or a key. From is their
	// address: so many tries are judged of one, and no more.
	IssueToken(ctx context.Context, ask fleet.IssueToken, from string) (fleet.Token, error)
	// Login returns by what tokens are got.
	Login(ctx context.Context) (fleet.Login, error)
	// Users returns all users, and Projects all projects, without what is secret.
	Users(ctx context.Context) ([]fleet.User, error)
	Projects(ctx context.Context) ([]fleet.Project, error)
}

// Revoker has tokens taken no more, anywhere: it is a record, in force as soon as
// one agent holds it. By is who asked a registry.
type Revoker interface {
	RevokeTokens(ctx context.Context, ask fleet.RevokeTokens, by string, who Principal) (fleet.Decided, error)
}

// metricsRoute is open to anyone where Options.OpenMetrics says so.
const metricsRoute = "GET /metrics"

type issueTokenIn struct {
	Body fleet.IssueToken

	from string
}

// Resolve implements huma.Resolver.
func (in *issueTokenIn) Resolve(hc huma.Context) []error {
	in.from = humagin.Unwrap(hc).Request.RemoteAddr
	if host, _, err := net.SplitHostPort(in.from); err == nil {
		in.from = host
	}
	return nil
}

type tokenOut struct {
	CacheControl string `header:"Cache-Control"`
	Body         fleet.Token
}

// RevokeIn is what both revocations take. It is exported because huma reads no
// other struct that is embedded.
type RevokeIn struct {
	By string    `query:"by" doc:"set by a registry that passes a request on; nobody else may"`
	At time.Time `query:"at" doc:"set by a registry that passes a request on: when it was asked; nobody else may"`

	who Principal
}

// Resolve implements huma.Resolver.
func (in *RevokeIn) Resolve(hc huma.Context) []error {
	in.who = principalOf(humagin.Unwrap(hc))
	return nil
}

type revokeTokenIn struct {
	ID   string `path:"id" doc:"the token's id; self for the one that is shown"`
	User string `query:"user" doc:"set by a registry that passes a request on: whose token it is; nobody else may"`
	RevokeIn
}

type revokeUserIn struct {
	Name string `path:"name" doc:"the user's name"`
	RevokeIn
}

// errNoPeople is what a registry answers that has no users file.
var errNoPeople = &fleet.Error{Code: fleet.CodeUnsupported, Detail: "this registry has no users file (users_file in registry.toml), so nobody logs in here: use a certificate"}

const aboutRevoking = "It is a record, in force at every node that has heard of it, and answered once three agents (all, where there are fewer) have it in their journals. " +
	"One's own may be revoked by anybody, others' by admins, and by operators who show a certificate."

func (s *server) addTokens() {
	add(s, route{method: http.MethodDelete, path: "/v1/tokens/{id}", id: "revoke-token", tag: "people", summary: "Revoke a token", description: aboutRevoking}, s.revokeToken)
	add(s, route{
		method: http.MethodDelete, path: "/v1/users/{name}/tokens", id: "revoke-user-tokens", tag: "people", summary: "Revoke all tokens that a user has got so far", description: aboutRevoking,
	}, s.revokeUser)
	if s.opts.Node != nil && s.opts.People == nil {
		return
	}
	add(s, route{
		method: http.MethodPost, path: "/v1/tokens", id: "issue-token", tag: "people", summary: "Log in: get a token for a project", status: http.StatusCreated,
		description: "Open to anybody who knows a password, has an API key, or an ID token of the OpenID provider. The token is sent as a bearer token, to any registry and any agent of the fleet, until it expires. " +
			"Unknown users, wrong passwords and wrong keys get one and the same answer, after the same work; who tries too often gets 429.",
	}, s.issueToken)
	add(s, route{
		method: http.MethodGet, path: "/v1/login", id: "show-login", tag: "people", summary: "Say by what people log in here",
		description: "Open to anybody: a program that is to log somebody in learns the OpenID provider, if there is one. What it says is public.",
	}, s.login)
	add(s, route{method: http.MethodGet, path: "/v1/users", id: "list-users", tag: "people", summary: "List the users of this registry's users file"}, s.listUsers)
	add(s, route{
		method: http.MethodGet, path: "/v1/projects", id: "list-projects", tag: "people", summary: "List projects, with their quotas and what they have",
		description: "Members and readers are shown the project of their token. What a project has is as this registry has heard it.",
	}, s.listProjects)
}

func (s *server) issueToken(ctx context.Context, in *issueTokenIn) (*tokenOut, error) {
	if err := in.Body.Validate(); err != nil {
		return nil, err
	}
	if s.opts.People == nil {
		return nil, errNoPeople
	}
	token, err := s.opts.People.IssueToken(ctx, in.Body, in.from)
	if err != nil {
		return nil, err
	}
	return &tokenOut{CacheControl: "no-store", Body: token}, nil
}

func (s *server) login(ctx context.Context, _ *nothing) (*out[fleet.Login], error) {
	if s.opts.People == nil {
		return &out[fleet.Login]{}, nil
	}
	ways, err := s.opts.People.Login(ctx)
	if err != nil {
		return nil, err
	}
	if ways.OIDC != nil {
		ways.OIDC.Scopes = list(ways.OIDC.Scopes)
	}
	return &out[fleet.Login]{ways}, nil
}

func (s *server) revokeToken(ctx context.Context, in *revokeTokenIn) (*out[fleet.Decided], error) {
	ask := fleet.RevokeTokens{User: in.User}
	switch in.ID {
	case "self":
		if ask.ID = in.who.Token; ask.ID.IsZero() {
			return nil, badRequest("no token was shown, so there is none of one's own to revoke; give a token's id")
		}
	default:
		var err error
		if ask.ID, err = parseID("token", in.ID); err != nil {
			return nil, err
		}
	}
	if ask.ID == in.who.Token {
		ask.User = in.who.Person.User
		return s.revoke(ctx, ask, &in.RevokeIn, true)
	}
	return s.revoke(ctx, ask, &in.RevokeIn, false)
}

func (s *server) revokeUser(ctx context.Context, in *revokeUserIn) (*out[fleet.Decided], error) {
	if err := fleet.CheckName("user name", in.Name); err != nil {
		return nil, err
	}
	return s.revoke(ctx, fleet.RevokeTokens{User: in.Name}, &in.RevokeIn, in.Name == in.who.Person.User)
}

// revoke judges whose tokens somebody may revoke. A certificate of an operator has
// no user: it is for when the people's side of things is what is broken.
func (s *server) revoke(ctx context.Context, ask fleet.RevokeTokens, in *RevokeIn, own bool) (*out[fleet.Decided], error) {
	passedOn := in.By != "" || !in.At.IsZero() || ask.User != "" && !own && ask.ID != (fleet.UUID{})
	switch {
	case in.who.Role == AsRegistry && !in.At.IsZero():
		ask.At = in.At
	case in.who.Role == AsRegistry:
		ask.At = time.Now()
	case passedOn:
		return nil, invalid("by, at and user are filled in by a registry that passes a request on; leave them out")
	case own, in.who.Role == AsAdmin, in.who.Role == AsOperator && in.who.Person.User == "":
		ask.At = time.Now()
	default:
		return nil, &fleet.Error{Code: fleet.CodeForbidden, Detail: "only an admin, or an operator with a certificate, revokes tokens of others"}
	}
	done, err := s.core.RevokeTokens(ctx, ask, in.By, in.who)
	if err != nil {
		return nil, err
	}
	done.Holders = list(done.Holders)
	return &out[fleet.Decided]{done}, nil
}

func (s *server) listUsers(ctx context.Context, _ *nothing) (*out[fleet.List[fleet.User]], error) {
	if s.opts.People == nil {
		return nil, errNoPeople
	}
	users, err := s.opts.People.Users(ctx)
	if err != nil {
		return nil, err
	}
	return &out[fleet.List[fleet.User]]{fleet.List[fleet.User]{Items: list(users)}}, nil
}

type listProjectsIn struct{ asker }

func (s *server) listProjects(ctx context.Context, in *listProjectsIn) (*out[fleet.List[fleet.Project]], error) {
	if s.opts.People == nil {
		return nil, errNoPeople
	}
	all, err := s.opts.People.Projects(ctx)
	if err != nil {
		return nil, err
	}
	shown := []fleet.Project{}
	for _, p := range all {
		if !in.who.OfProject() || p.Name == in.who.Person.Project {
			shown = append(shown, p)
		}
	}
	return &out[fleet.List[fleet.Project]]{fleet.List[fleet.Project]{Items: shown}}, nil
}
