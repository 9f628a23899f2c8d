package api_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"grapevine/api"
	"grapevine/fleet"
	"grapevine/internal/tracing"
	"grapevine/internal/tracing/tracetest"
)

// guarded is a handler behind a guard, which knows a member by one token.
func guarded(perSecond int, next http.HandlerFunc) http.Handler { return traced(nil, perSecond, next) }

func traced(tracer *tracing.Tracer, perSecond int, next http.HandlerFunc) http.Handler {
	return api.Guard{
		Front: api.Front{
			Principal: func(r *http.Request) api.Principal {
				if r.Header.Get("Authorization") != "Bearer sesame" {
					return api.Principal{}
				}
				return api.Principal{Role: api.AsMember, Name: "ann", Person: fleet.Person{User: "ann", Project: "blue"}}
			},
			PerSecond: func() int { return perSecond },
			Tracer:    tracer,
			Log:       slog.New(slog.DiscardHandler),
		},
		Token:  func(r *http.Request) string { return r.Header.Get("X-Auth-Token") },
		Refuse: func(w http.ResponseWriter, _ *http.Request, err error) { http.Error(w, err.Error(), http.StatusTeapot) },
	}.Before(next)
}

func ask(h http.Handler, method, token string) *httptest.ResponseRecorder {
	r, w := httptest.NewRequest(method, "/x", strings.NewReader("{}")), httptest.NewRecorder()
	r.Header.Set("X-Auth-Token", token)
	h.ServeHTTP(w, r)
	return w
}

func TestGuardTellsWhoAsksAndOnWhoseBehalf(t *testing.T) {
	var who api.Principal
	var behalf fleet.Asker
	h := guarded(100, func(_ http.ResponseWriter, r *http.Request) {
		who = api.Who(r.Context())
		behalf, _ = fleet.BehalfOf(r.Context())
	})
	ask(h, http.MethodGet, "sesame")
	if who.Person.User != "ann" || behalf.Name != "" {
		t.Errorf("a read is by %+v, on behalf of %+v", who, behalf)
	}
	ask(h, http.MethodPost, "sesame")
	if behalf.Name != "ann of blue" || behalf.Role != "member" {
		t.Errorf("a change is on behalf of %+v", behalf)
	}
	if ask(h, http.MethodGet, "wrong"); who.Role != api.Nobody {
		t.Errorf("with a wrong token it is %+v", who)
	}
}

func TestGuardPacesPeopleAndNobodyElse(t *testing.T) {
	h := guarded(1, func(http.ResponseWriter, *http.Request) {})
	refused := 0
	for range 10 {
		if w := ask(h, http.MethodGet, "sesame"); w.Code == http.StatusTeapot && strings.Contains(w.Body.String(), "more than 1 times a second") {
			refused++
		}
		if w := ask(h, http.MethodGet, ""); w.Code != http.StatusOK {
			t.Fatalf("nobody gets %d", w.Code)
		}
	}
	if refused == 0 {
		t.Error("ten requests at once of one user, who has one a second: none is refused")
	}
}

func TestGuardKeepsAPanicWithinItsRequest(t *testing.T) {
	h := guarded(100, func(_ http.ResponseWriter, r *http.Request) { panic("of a handler at " + r.URL.Path) })
	if w := ask(h, http.MethodGet, ""); w.Code != http.StatusTeapot || strings.Contains(w.Body.String(), "handler at") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	begun := guarded(100, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusOK)
		panic("half way")
	})
	defer func() {
		if recover() != http.ErrAbortHandler { //nolint:errorlint // this value itself is what net/http compares with.
			t.Error("half an answer looks whole")
		}
	}()
	ask(begun, http.MethodGet, "")
}

func TestGuardBeginsASpanThatTellsNoIDs(t *testing.T) {
	collector, endpoint := tracetest.Start(t)
	tracer, err := tracing.New(tracing.Settings{Endpoint: endpoint, Ratio: 1}, tracing.Deps{Service: tracing.Service{Name: "node"}})
	if err != nil {
		t.Fatal(err)
	}
	h := traced(tracer, 100, func(http.ResponseWriter, *http.Request) { panic("of a handler") })
	ask(h, http.MethodGet, "sesame")
	ask(h, "SECRET", "sesame")
	tracer.Close()
	spans := collector.Spans(t)
	got := tracetest.Find(t, spans, "GET /x")
	if len(spans) != 2 || got.Attributes["grapevine.project"] != "blue" || got.Attributes["http.response.status_code"] != "418" || got.Attributes["http.route"] != "" {
		t.Errorf("%+v", spans)
	}
	tracetest.Find(t, spans, "_OTHER /x")
}
