package identity

import (
	"cmp"
	"encoding/json"
	"net"
	"net/http"
	"slices"

	"grapevine/fleet"
	"grapevine/registry/openstack/service"
)

// named is a thing that is named by its id or its name, which are the same here,
// and the domain that it is in.
type named struct {
	ID, Name string
	Domain   *named
}

func (n *named) word() string {
	if n == nil {
		return ""
	}
	return cmp.Or(n.ID, n.Name)
}

// loginBody is the body of POST /v3/auth/tokens.
type loginBody struct {
	Auth struct {
		Identity struct {
			Methods  []string
			Password struct {
				User struct {
					named
					Password string
				}
			}
			Credential struct {
				Secret string
			} `json:"application_credential"`
		}
		Scope scope
	}
}

// scope is what a token is to be for.
type scope struct {
	Project *named
	Domain  *named
	System  map[string]any
}

// UnmarshalJSON reads a scope, which may also be the word unscoped.
func (s *scope) UnmarshalJSON(content []byte) error {
	if string(content) == `"unscoped"` {
		return nil
	}
	type plain scope
	return json.Unmarshal(content, (*plain)(s))
}

// The ways of logging in. An application credential is an API key of the users file:
// the key is its secret, and its id is not looked at.
const (
	byPassword   = "password"
	byCredential = "application_credential"
)

// ask reads what has to be shown to the registry. Errors repeat nothing of it.
func (b *loginBody) ask() (fleet.IssueToken, error) {
	by := b.Auth.Identity
	ask := fleet.IssueToken{Project: b.Auth.Scope.Project.word()}
	switch {
	case slices.Equal(by.Methods, []string{byPassword}):
		if !inDefault(by.Password.User.Domain) {
			return ask, errWrong
		}
		ask.User, ask.Password = by.Password.User.word(), by.Password.User.Password
	case slices.Equal(by.Methods, []string{byCredential}):
		ask.APIKey = by.Credential.Secret
	default:
		return ask, service.Fail(fleet.CodeBadRequest, "Give one method to log in by: password, or application_credential with an API key as its secret.")
	}
	if b.Auth.Scope.Project != nil && !inDefault(b.Auth.Scope.Project.Domain) {
		return ask, errWrong
	}
	return ask, ask.Validate()
}

// errWrong is the one answer to what nobody is known by.
var errWrong = service.Fail(fleet.CodeUnauthenticated, "The request you have made requires authentication.")

// inDefault reports whether something is in the one domain; who names none means it.
func inDefault(domain *named) bool {
	return domain == nil || domain.ID == defaultDomain || domain.Name == defaultDomainName
}

func (k *keystone) issue(c *service.Call) (service.Reply, error) {
	var body loginBody
	if err := c.Body(&body); err != nil {
		return service.Reply{}, err
	}
	ask, err := body.ask()
	if err != nil {
		return service.Reply{}, err
	}
	from, _, _ := net.SplitHostPort(c.Request.RemoteAddr)
	token, err := c.People.IssueToken(c.Context(), ask, from)
	if code := fleet.CodeOf(err); code == fleet.CodeForbidden {
		// Of a project that is not one's own, Keystone says no more than that.
		return service.Reply{}, service.Fail(fleet.CodeUnauthenticated, err.Error())
	}
	if err != nil {
		return service.Reply{}, err
	}
	shown := k.token(c, shown{
		user: token.User, project: token.Project, role: token.Role, id: token.ID.String(),
		issued: token.IssuedAt, expires: token.ExpiresAt, method: body.Auth.Identity.Methods[0],
	})
	return service.Reply{Status: http.StatusCreated, Header: http.Header{"X-Subject-Token": {token.Token}, "Cache-Control": {"no-store"}}, Body: shown}, nil
}
