package api

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"grapevine/fleet"
	"grapevine/internal/throttle"
	"grapevine/internal/tracing"
)

// Guard stands before the handlers of a front end as the native API's own
// middlewares stand before its: it settles who asks, paces people, bounds how long
// a body may take, has agents told for whom the registry asks them to change
// something, keeps a panic from ending more than its request, and logs. Who may do
// what is for the front end to judge, by its own table.
type Guard struct {
	Front
	// Token returns the token that a request shows, where the dialect has it
	// elsewhere than in Authorization; empty for none. Nil: nowhere else.
	Token func(*http.Request) string
	// Refuse writes an error as the dialect does.
	Refuse func(http.ResponseWriter, *http.Request, error)
}

// Before returns the guarded handler. All handlers of one front end share one
// Guard and one call of Before, so that a person's pace is that of all of them.
func (g Guard) Before(next http.Handler) http.Handler {
	users := throttle.New()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start, seen := time.Now(), &statusWriter{ResponseWriter: w}
		who := g.who(r)
		r = r.WithContext(g.traced(r, who))
		defer func() { endSpan(tracing.Current(r.Context()), seen.status) }()
		defer func() { g.end(seen, r, who, start, recover()) }()
		if err := g.pace(users, who); err != nil {
			g.Refuse(seen, r, err)
			return
		}
		if r.Body != nil && r.Body != http.NoBody {
			_ = http.NewResponseController(w).SetReadDeadline(start.Add(bodyTimeout)) // a connection without deadlines has keep-alives
		}
		ctx := context.WithValue(r.Context(), askingKey{}, asking{who: who})
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			ctx = fleet.OnBehalf(ctx, askerFor(who, r.RemoteAddr))
		}
		next.ServeHTTP(seen, r.WithContext(ctx))
	})
}

// Who returns who sent the request of a guarded handler.
func Who(ctx context.Context) Principal { return askingIn(ctx).who }

func (g *Guard) who(r *http.Request) Principal {
	if g.Token != nil {
		if token := g.Token(r); token != "" {
			r = r.Clone(r.Context())
			r.Header.Set("Authorization", "Bearer "+token)
		}
	}
	return g.Principal(r)
}

// methods are those that are told by their names.
var methods = []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions}

// traced begins the request's span. Of the path only the prefix is told by which the
// front end is mounted: the rest has ids in it.
func (g *Guard) traced(r *http.Request, who Principal) context.Context {
	prefix, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	method := r.Method
	if !slices.Contains(methods, method) {
		method = "_OTHER" // as OpenTelemetry's conventions have it
	}
	ctx, span := g.Tracer.Serve(r.Context(), method+" /"+prefix, r.Header, trustOf(who.Role))
	span.Text("http.request.method", method)
	span.Text("grapevine.role", string(who.Role))
	span.Text("grapevine.project", who.Person.Project)
	return ctx
}

func (g *Guard) pace(users *throttle.Throttle, who Principal) error {
	user := who.Person.User
	if user == "" {
		return nil
	}
	perSecond := g.PerSecond()
	if users.Allow(user, float64(perSecond), 2*perSecond, time.Now()) {
		return nil
	}
	return &fleet.Error{Code: fleet.CodeTooMany, Detail: fmt.Sprintf("user %s asks more than %d times a second; try again in a second", user, perSecond)}
}

// end settles what a panic leaves behind, and logs.
func (g *Guard) end(w *statusWriter, r *http.Request, who Principal, start time.Time, fault any) {
	if fault != nil && fault != http.ErrAbortHandler { //nolint:errorlint // this value itself is what net/http compares with.
		g.Log.ErrorContext(r.Context(), "request panicked", "path", r.URL.Path, "panic", fmt.Sprint(fault), "stack", string(debug.Stack()))
		if w.status != 0 {
			fault = http.ErrAbortHandler // half an answer must not look whole
		} else {
			g.Refuse(w, r, errInternal)
			fault = nil
		}
	}
	level := slog.LevelInfo
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		level = slog.LevelDebug
	}
	g.Log.Log(r.Context(), level, "request served", "method", r.Method, "path", r.URL.Path, "status", w.status, "role", string(who.Role),
		"user", who.Person.User, "project", who.Person.Project, "duration_ms", time.Since(start).Milliseconds())
	if fault != nil {
		panic(fault)
	}
}

// statusWriter remembers how an answer began.
type statusWriter struct {
	http.ResponseWriter
	status int
}

// WriteHeader implements http.ResponseWriter.
func (w *statusWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (w *statusWriter) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
