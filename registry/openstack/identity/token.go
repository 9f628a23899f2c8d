package identity

import (
	"net/http"
	"time"

	"grapevine/api"
	"grapevine/fleet"
	"grapevine/registry/openstack/service"
)

// keystoneTime is how Keystone writes times.
const keystoneTime = "2006-01-02T15:04:05.000000Z"

// shown is a token as it is told of.
type shown struct {
	user, project, role, id, method string
	issued, expires                 time.Time
}

// token is the body that tells of a token. The catalogue is in it unless the client
// asked for none.
func (k *keystone) token(c *service.Call, s shown) map[string]any {
	out := map[string]any{
		"methods": []string{s.method}, "user": userRow(s.user), "audit_ids": []string{s.id},
		"issued_at": s.issued.UTC().Format(keystoneTime), "expires_at": s.expires.UTC().Format(keystoneTime),
		"roles": rolesOf(s.role),
	}
	if s.project != "" {
		out["project"] = map[string]any{"id": s.project, "name": s.project, "domain": domainRow()}
		out["is_domain"] = false
	}
	if !c.Query().Has("nocatalog") {
		out["catalog"] = k.catalog(c)
	}
	return map[string]any{"token": out}
}

// rolesOf has beside the role those that it implies, as Keystone's default roles
// do: clients look for admin, member and reader.
func rolesOf(role string) []any {
	implied := map[string][]string{"admin": {"admin", "member", "reader"}, "operator": {"operator", "member", "reader"}, "member": {"member", "reader"}, "reader": {"reader"}}
	out := []any{}
	for _, name := range implied[role] {
		out = append(out, map[string]any{"id": name, "name": name})
	}
	return out
}

// showToken tells of the token in X-Subject-Token. One's own is known already; one
// of somebody else's is told of to operators alone.
func (k *keystone) showToken(c *service.Call) (service.Reply, error) {
	subject := c.Request.Header.Get("X-Subject-Token")
	who, err := k.judge(c, subject)
	if err != nil {
		return service.Reply{}, err
	}
	body := k.token(c, shown{
		user: who.Person.User, project: who.Person.Project, role: string(who.Role), id: who.Token.String(),
		issued: who.Issued, expires: who.Expires, method: "token",
	})
	return service.Reply{Header: http.Header{"X-Subject-Token": {subject}}, Body: body}, nil
}

// judge returns who shows the subject of a request.
func (k *keystone) judge(c *service.Call, subject string) (api.Principal, error) {
	r := &http.Request{Method: http.MethodGet, URL: c.Request.URL, Host: c.Request.Host, Header: http.Header{"Authorization": {"Bearer " + subject}}}
	who := c.Principal(r)
	switch {
	case subject == "" || who.Token.IsZero():
		return who, service.Fail(fleet.CodeNotFound, "The token in X-Subject-Token is not good.")
	case who.Token != c.Who.Token && c.Who.OfProject():
		return who, service.Fail(fleet.CodeForbidden, "Only admins and operators are told of tokens of others.")
	}
	return who, nil
}

func (k *keystone) revoke(c *service.Call) (service.Reply, error) {
	who, err := k.judge(c, c.Request.Header.Get("X-Subject-Token"))
	if err != nil {
		return service.Reply{}, err
	}
	if who.Token != c.Who.Token && c.Who.Role != api.AsAdmin {
		return service.Reply{}, service.Fail(fleet.CodeForbidden, "Only an admin revokes tokens of others.")
	}
	_, err = c.Core.RevokeTokens(c.Context(), fleet.RevokeTokens{ID: who.Token, User: who.Person.User, At: time.Now()}, "", c.Who)
	return service.Reply{Status: http.StatusNoContent}, err
}
