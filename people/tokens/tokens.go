// Package tokens issues what people show to a node, and judges it. A registry
// signs a token with its certificate's key and sends the certificate along, so
// that any registry and any agent can judge it with nothing but the fleet's root:
// there is no list of tokens anywhere.
package tokens

import (
	"crypto/rand"
	"net/http"
	"strings"
	"time"

	"grapevine/api"
	"grapevine/fleet"
	"grapevine/identity"
	"grapevine/people"
)

// Gate judges tokens at one node.
type Gate struct {
	Identity *identity.Identity
	// Revoked reports whether somebody revoked a token.
	Revoked func(*people.Token) bool
	// Book is the users file as it is now; nil, or returning nil, where the node
	// has none: then what the token says holds until it ends.
	Book func() *people.Book
}

// Issue signs a token for somebody who has shown who they are.
func (g *Gate) Issue(to people.Grant, life time.Duration, now time.Time) (string, people.Token, error) {
	var random [16]byte
	_, _ = rand.Read(random[:]) // crypto/rand never fails: it ends the program instead
	t := people.Token{
		ID: fleet.NewUUIDv4(random), Fleet: g.Identity.Subject().Fleet, User: to.Who.User, Key: to.Who.Key, Group: to.Group, Project: to.Project, Role: to.Role,
		IssuedMS: now.UnixMilli(), ExpiresMS: now.Add(life).UnixMilli(),
	}
	if g.Revoked(&t) {
		return "", people.Token{}, &fleet.Error{Code: fleet.CodeUnauthenticated, Detail: "all tokens of this user were revoked a moment ago, and one of now would be taken for one of them; log in again in a minute"}
	}
	signed, err := g.Identity.State(t.Encode())
	return signed, t, err
}

// Bearer returns the token that a request shows, empty for none.
func Bearer(r *http.Request) string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// Principal returns who shows a token; nobody, and why, where it is not good.
func (g *Gate) Principal(token string, now time.Time) api.Principal {
	t, err := g.Judge(token, now)
	if err != nil {
		return api.Principal{Refused: err}
	}
	return api.Principal{Role: api.PrincipalRole(t.Role), Name: t.User, Person: fleet.Person{User: t.User, Project: t.Project}, Token: t.ID, Issued: t.IssuedAt(), Expires: t.ExpiresAt()}
}

// errForged is the one answer to what no registry of this fleet has signed.
var errForged = &fleet.Error{Code: fleet.CodeUnauthenticated, Detail: "the token was not issued by a registry of this fleet, or was changed; log in again"}

// Judge returns what a token says that is good now. An error is a sentence for
// whoever showed it.
func (g *Gate) Judge(token string, now time.Time) (people.Token, error) {
	content, by, err := g.Identity.Stated(token, now)
	if err != nil || by.Role != identity.Registry {
		return people.Token{}, errForged
	}
	t, err := people.DecodeToken(content, g.Identity.Subject().Fleet, now)
	if err != nil {
		return people.Token{}, err
	}
	if g.Revoked(&t) {
		return people.Token{}, &fleet.Error{Code: fleet.CodeUnauthenticated, Detail: "the token was revoked; log in again"}
	}
	if g.Book != nil {
		if book := g.Book(); book != nil {
			return t, book.Still(&t)
		}
	}
	return t, nil
}
