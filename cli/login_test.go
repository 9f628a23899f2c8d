package cli

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"grapevine/fleet"
)

func TestLoginPrintsATokenAndNothingElse(t *testing.T) {
	n := newNode(t)
	n.answer("POST /v1/tokens", 201, fleet.Token{Token: "a.b.c", ID: id(1), User: "alice", Project: "shop", Role: "member", ExpiresAt: today})
	env := map[string]string{"GRAPEVINE_ADDR": n.URL, "USER": "alice", "GRAPEVINE_API_KEY": "gvk-1"}
	got := typed(t, env, "correct horse\n", "login", "--project", "shop")
	got.wants(t, exitOK, "", "logged in as member alice of shop until")
	if got.out != "a.b.c\n" {
		t.Errorf("stdout %q", got.out)
	}
	typed(t, env, "", "login", "--api-key", "-o", "json").wants(t, exitOK, `"token": "a.b.c"`, "")
	typed(t, env, "", "login", "--api-key", "--user", "x").wants(t, exitUsage, "", "--user is not needed")
	var bodies []string
	for _, a := range n.requests("POST") {
		bodies = append(bodies, a.Body)
	}
	if diff := cmp.Diff([]string{`{"user":"alice","password":"correct horse","project":"shop"}`, `{"api_key":"gvk-1"}`}, bodies); diff != "" {
		t.Error(diff)
	}
}

func TestLoginShowsAnIDTokenToTheRegistry(t *testing.T) {
	n := newNode(t)
	n.answer("POST /v1/tokens", 201, fleet.Token{Token: "a.b.c", ID: id(1), User: "oidc:alice", Project: "shop", Role: "member", ExpiresAt: today})
	n.answer("GET /v1/login", 200, fleet.Login{Passwords: true})
	env := map[string]string{"GRAPEVINE_ADDR": n.URL, "USER": "alice"}
	typed(t, env, "x.y.z\n", "login", "--id-token-file", "-").wants(t, exitOK, "a.b.c\n", "logged in as member oidc:alice of shop until")
	typed(t, env, "", "login", "--id-token-file", write(t, "id-token", "x.y.z\n"), "--project", "shop").wants(t, exitOK, "a.b.c\n", "")
	var bodies []string
	for _, a := range n.requests("POST") {
		bodies = append(bodies, a.Body)
	}
	if diff := cmp.Diff([]string{`{"id_token":"x.y.z"}`, `{"id_token":"x.y.z","project":"shop"}`}, bodies); diff != "" {
		t.Error(diff)
	}
	typed(t, env, "", "login", "--id-token-file", "-").wants(t, exitFailed, "", "is empty")
	typed(t, env, "", "login", "--oidc").wants(t, exitFailed, "", "has no OpenID provider")
	typed(t, env, "", "login", "--oidc", "--user", "x").wants(t, exitUsage, "", "give one of them")
	typed(t, env, "", "login", "--oidc", "--id-token-file", "-").wants(t, exitUsage, "", "give one of them")
	typed(t, env, "", "login", "--device").wants(t, exitUsage, "", "give --oidc as well")
}

func TestTokensAreRevoked(t *testing.T) {
	n := newNode(t)
	done := func(kind fleet.RecordKind) fleet.Decided {
		return fleet.Decided{Record: fleet.Record{Kind: kind, Subject: id(7), Name: "alice"}, Holders: []fleet.HostID{id(1), id(2), id(3)}}
	}
	n.answer("DELETE /v1/tokens/{id}", 200, done(fleet.RevokeToken))
	n.answer("DELETE /v1/users/{name}/tokens", 200, done(fleet.RevokeUser))
	env := map[string]string{"GRAPEVINE_ADDR": n.URL, "GRAPEVINE_TOKEN": "a.b.c"}
	runWith(t, env, "logout").wants(t, exitOK, "token "+id(7).String()+" is revoked; held by 3 agents", "")
	runWith(t, env, "user", "revoke", "alice").wants(t, exitOK, "all tokens that alice has got so far are revoked; held by 3 agents", "")
	runWith(t, env, "user", "revoke-token", id(7).String()).wants(t, exitOK, "is revoked", "")
	run(t, n.URL, "logout").wants(t, exitUsage, "", "GRAPEVINE_TOKEN is not set")
	run(t, n.URL, "user", "revoke-token", "x").wants(t, exitUsage, "", "token id")
}

func TestUsersAndProjectsAreListed(t *testing.T) {
	n := newNode(t)
	n.answer("GET /v1/users", 200, fleet.List[fleet.User]{Items: []fleet.User{{Name: "alice", Projects: []string{"lab", "shop"}}, {Name: "bob", Disabled: true}}})
	n.answer("GET /v1/projects", 200, fleet.List[fleet.Project]{Items: []fleet.Project{
		{Name: "shop", Members: []string{"alice"}, Quota: map[string]int64{"instances": 2}, Used: map[string]int64{"instances": 1, "vcpus": 4}},
	}})
	users := run(t, n.URL, "user", "list")
	users.wants(t, exitOK, "lab shop", "")
	users.wants(t, exitOK, "disabled", "")
	run(t, n.URL, "project", "list").wants(t, exitOK, "1 of 2", "")
}
