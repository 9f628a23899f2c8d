package api

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"grapevine/fleet"
)

// RevokeTokens remembers what it was asked for.
func (f *fakeCore) RevokeTokens(_ context.Context, ask fleet.RevokeTokens, by string, who Principal) (fleet.Decided, error) {
	f.decisions = append(f.decisions, fmt.Sprintf("revoke %s of %q by %q as %s", ask.ID, ask.User, by, who.Word()))
	return fleet.Decided{Record: ask.Record()}, nil
}

// fakePeople knows one user.
type fakePeople struct{ froms []string }

func (p *fakePeople) IssueToken(_ context.Context, ask fleet.IssueToken, from string) (fleet.Token, error) {
	p.froms = append(p.froms, from)
	if ask.Password != "correct horse" {
		return fleet.Token{}, &fleet.Error{Code: fleet.CodeUnauthenticated, Detail: "wrong"}
	}
	return fleet.Token{Token: "a.b.c", User: ask.User, Role: "member", Project: ask.Project}, nil
}

func (p *fakePeople) Login(context.Context) (fleet.Login, error) {
	return fleet.Login{Passwords: true, OIDC: &fleet.OIDCLogin{Issuer: "https://id.example.org", ClientID: "grapevine"}}, nil
}

func (p *fakePeople) Users(context.Context) ([]fleet.User, error) {
	return []fleet.User{{Name: "alice", Projects: []string{"shop"}, Keys: []string{}}}, nil
}

func (p *fakePeople) Projects(context.Context) ([]fleet.Project, error) {
	return []fleet.Project{{Name: "lab"}, {Name: "shop"}}, nil
}

// as serves a core to one principal.
func as(core *fakeCore, who Principal) http.Handler {
	options := testOptions(core)
	options.Principal = func(*http.Request) Principal { return who }
	return NewHandler(core, options)
}

var (
	alice    = Principal{Role: AsMember, Name: "alice", Person: fleet.Person{User: "alice", Project: "shop"}, Token: fleet.UUID{1}}
	reader   = Principal{Role: AsReader, Name: "bob", Person: fleet.Person{User: "bob", Project: "shop"}, Token: fleet.UUID{2}}
	root     = Principal{Role: AsAdmin, Name: "root", Person: fleet.Person{User: "root"}, Token: fleet.UUID{3}}
	operator = Principal{Role: AsOperator, Name: "ops", Person: fleet.Person{User: "ops"}, Token: fleet.UUID{4}}
	byCert   = Principal{Role: AsOperator, Name: "cert"}
	registry = Principal{Role: AsRegistry, Name: "r1"}
)

func TestLoggingInIsOpenAndItsAnswerIsNotKept(t *testing.T) {
	handler := as(full(), Principal{})
	r := doWith(t, handler, request{method: "POST", target: "/v1/tokens", body: `{"user":"alice","password":"correct horse","project":"shop"}`})
	if r.Code != http.StatusCreated || r.Header().Get("Cache-Control") != "no-store" || !strings.Contains(r.Body.String(), `"token":"a.b.c"`) {
		t.Errorf("got %d %v %s", r.Code, r.Header(), r.Body)
	}
	for _, body := range []string{`{"user":"alice"}`, `{"password":"x"}`, `{}`, `{"user":"a","password":"b","api_key":"c"}`, `{"user":"a","api_key":"c"}`} {
		if p := problemIn(t, doWith(t, handler, request{method: "POST", target: "/v1/tokens", body: body})); p.Code != fleet.CodeInvalid {
			t.Errorf("%s: %+v", body, p)
		}
	}
}

func TestPasswordsAreNeitherLoggedNorAnswered(t *testing.T) {
	var logged bytes.Buffer
	core := full()
	options := testOptions(core)
	options.Log = slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
	handler := NewHandler(core, options)
	for _, body := range []string{`{"user":"alice","password":"hunter22"}`, `{"user":"alice","password":"hunter22","api_key":"hunter22"}`, `{"user":"alice","password":["hunter22"]}`, `{"user":"alice","pasword":"hunter22"}`, `{"user":"alice","password":"hunter22"`} {
		r := doWith(t, handler, request{method: "POST", target: "/v1/tokens", body: body})
		if strings.Contains(r.Body.String(), "hunter22") || strings.Contains(logged.String(), "hunter22") {
			t.Errorf("%s: answer %s\nlog %s", body, r.Body, &logged)
		}
	}
}

func TestWhoMayRevokeWhoseTokens(t *testing.T) {
	own, other := fleet.UUID{1}.String(), fleet.UUID{9}.String()
	const at = "?at=2026-03-01T12:00:00Z&by=member+alice"
	for _, tt := range []struct {
		who    Principal
		target string
		want   string // what the core is asked, or the code of the refusal
	}{
		{alice, "/v1/tokens/self", `revoke ` + own + ` of "alice" by "" as member alice of shop`},
		{alice, "/v1/tokens/" + own, `revoke ` + own + ` of "alice" by "" as member alice of shop`},
		{alice, "/v1/tokens/" + other, "forbidden"},
		{alice, "/v1/users/alice/tokens", `of "alice" by "" as member alice of shop`},
		{alice, "/v1/users/bob/tokens", "forbidden"},
		{alice, "/v1/tokens/" + other + "?user=alice", "invalid"},
		{alice, "/v1/users/alice/tokens" + at, "invalid"},
		{operator, "/v1/users/alice/tokens", "forbidden"},
		{reader, "/v1/users/bob/tokens", `of "bob" by "" as reader bob of shop`},
		{root, "/v1/users/alice/tokens", `of "alice" by "" as admin root`},
		{root, "/v1/tokens/" + other, `revoke ` + other + ` of "" by "" as admin root`},
		{byCert, "/v1/users/alice/tokens", `of "alice" by "" as operator cert`},
		{byCert, "/v1/tokens/self", "bad_request"},
		{registry, "/v1/users/alice/tokens" + at, `of "alice" by "member alice" as registry r1`},
		{Principal{}, "/v1/tokens/" + other, "unauthenticated"},
		{Principal{Role: AsAgent}, "/v1/tokens/" + other, "forbidden"},
	} {
		core := full()
		r := doWith(t, as(core, tt.who), request{method: "DELETE", target: tt.target})
		got := strings.Join(core.decisions, "; ")
		if r.Code != http.StatusOK {
			got = string(problemIn(t, r).Code)
		}
		if !strings.HasSuffix(got, tt.want) {
			t.Errorf("%s %s: got %q, want %q", tt.who.Word(), tt.target, got, tt.want)
		}
	}
}

func TestProjectsOfOthersAreNotListed(t *testing.T) {
	for _, tt := range []struct {
		who  Principal
		want string
	}{{alice, `"shop"`}, {root, `"lab"`}, {byCert, `"lab"`}} {
		r := doWith(t, as(full(), tt.who), request{method: "GET", target: "/v1/projects"})
		if r.Code != 200 || !strings.Contains(r.Body.String(), tt.want) || tt.who.OfProject() && strings.Contains(r.Body.String(), "lab") {
			t.Errorf("%s: %d %s", tt.who.Word(), r.Code, r.Body)
		}
	}
}

func TestOnlyARegistrySpeaksOnBehalfOfSomebody(t *testing.T) {
	for _, tt := range []struct {
		who  Principal
		want string
	}{{registry, `asked_by="member alice of shop"`}, {Principal{Role: AsOperator}, "status=403"}, {Principal{Role: AsAgent, Name: "a"}, "status=403"}} {
		var logged bytes.Buffer
		core := full()
		options := testOptions(core)
		options.Log = slog.New(slog.NewTextHandler(&logged, nil))
		options.Principal = func(*http.Request) Principal { return tt.who }
		doWith(t, NewHandler(core, options), request{method: "POST", target: "/v1/instances/" + instanceText + "/stop", header: map[string]string{askedByHeader: fleet.Asker{Role: "member", Name: "alice of shop"}.Encode()}})
		if !strings.Contains(logged.String(), tt.want) || tt.who.Role != AsRegistry && strings.Contains(logged.String(), "alice") {
			t.Errorf("%s: %s", tt.who.Role, &logged)
		}
	}
}

func TestTokenThatIsNotTakenSaysWhy(t *testing.T) {
	who := Principal{Refused: &fleet.Error{Code: fleet.CodeUnauthenticated, Detail: "the token expired on " + time.Unix(0, 0).UTC().String()}}
	r := doWith(t, as(full(), who), request{method: "GET", target: "/v1/hosts"})
	p := problemIn(t, r)
	if p.Code != fleet.CodeUnauthenticated || !strings.Contains(p.Detail, "expired on 1970") || !strings.Contains(r.Header().Get("WWW-Authenticate"), "invalid_token") {
		t.Errorf("%+v %v", p, r.Header())
	}
}

func TestMetricsAreOpenWhereTheNodeSaysSo(t *testing.T) {
	core := full()
	options := testOptions(core)
	options.Principal = nil
	if r := doWith(t, NewHandler(core, options), request{method: "GET", target: "/metrics"}); r.Code != http.StatusUnauthorized {
		t.Errorf("closed: %d", r.Code)
	}
	options.OpenMetrics = true
	handler := NewHandler(core, options)
	if r := doWith(t, handler, request{method: "GET", target: "/metrics"}); r.Code != http.StatusOK {
		t.Errorf("open: %d %s", r.Code, r.Body)
	}
	if r := doWith(t, handler, request{method: "GET", target: "/v1/hosts"}); r.Code != http.StatusUnauthorized {
		t.Errorf("what else there is: %d", r.Code)
	}
}
