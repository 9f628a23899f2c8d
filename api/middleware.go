package api

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"runtime/debug"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gin-gonic/gin"

	"grapevine/fleet"
)

// bodyTimeout bounds how long a client may take to send a JSON body.
const bodyTimeout = 30 * time.Second

// Where a request's principal and its body as sent are kept in gin's context.
const (
	principalKey = "principal"
	bodyKey      = "body"
)

// principalOf returns who sent a request.
func principalOf(c *gin.Context) Principal {
	who, _ := c.Value(principalKey).(Principal)
	return who
}

// bodyOf returns the JSON body of a request as it was sent.
func bodyOf(c *gin.Context) []byte {
	content, _ := c.Value(bodyKey).([]byte)
	return content
}

// served returns what is known of the request's route; nil for none.
func (s *server) served(c *gin.Context) *served {
	return s.routes[c.Request.Method+" "+c.FullPath()]
}

// refuse ends a request before its handler.
func refuse(c *gin.Context, code fleet.Code, format string, args ...any) {
	problemOf(&fleet.Error{Code: code, Detail: fmt.Sprintf(format, args...)}).write(c.Writer)
	c.Abort()
}

func noRoute(c *gin.Context) {
	refuse(c, fleet.CodeNotFound, "no route %.200q; /openapi.json lists those that there are", c.Request.URL.Path)
}

func noMethod(c *gin.Context) {
	refuse(c, fleet.CodeMethodNotAllowed, "%.20s is not a method of %.200q; use %s", c.Request.Method, c.Request.URL.Path, c.Writer.Header().Get("Allow"))
}

// logged writes one line for each request and keeps a panic from ending more
// than its own request.
func (s *server) logged(c *gin.Context) {
	start := time.Now()
	defer func() {
		fault := recover()
		if fault != nil && fault != http.ErrAbortHandler { //nolint:errorlint // this value itself is what net/http compares with.
			s.log.ErrorContext(c.Request.Context(), "request panicked", "path", c.Request.URL.Path, "panic", fmt.Sprint(fault), "stack", string(debug.Stack()))
			if c.Writer.Written() {
				fault = http.ErrAbortHandler // half an answer must not look whole
			} else {
				problemOf(errInternal).write(c.Writer)
				fault = nil
			}
		}
		s.logRequest(c, time.Since(start))
		endTrace(c)
		if fault != nil {
			panic(fault)
		}
	}()
	c.Next()
}

func (s *server) logRequest(c *gin.Context, took time.Duration) {
	level := slog.LevelInfo
	if c.Request.Method == http.MethodGet || c.Request.Method == http.MethodHead {
		level = slog.LevelDebug
	}
	ctx := c.Request.Context()
	if !s.log.Enabled(ctx, level) {
		return
	}
	log, who := s.log, principalOf(c)
	if who.Person.User != "" {
		log = log.With("user", who.Person.User, "project", who.Person.Project)
	}
	if who.For != nil {
		log = log.With("asked_by", who.For.String())
	}
	log.Log(ctx, level, "request served",
		"method", c.Request.Method, "path", c.Request.URL.Path,
		"status", c.Writer.Status(), "role", string(who.Role), "peer_id", who.ID.String(), "peer_name", who.Name,
		"duration_ms", took.Milliseconds(),
	)
}

// authorised lets through whom the access table names.
func (s *server) authorised(c *gin.Context) {
	route := s.served(c)
	if route == nil {
		return // the request ends as not found, or not allowed, whoever sent it
	}
	var who Principal
	if s.opts.Principal != nil {
		who = s.opts.Principal(c.Request)
	}
	var misused error
	who.For, misused = passedOnBy(c, who.Role)
	c.Set(principalKey, who)
	c.Request = c.Request.WithContext(context.WithValue(c.Request.Context(), askingKey{}, asking{who, c.Param("id")}))
	s.beginTrace(c, route, &who)
	switch {
	case admits(route.name, who.Role):
	case s.opts.OpenMetrics && route.name == metricsRoute:
	case slices.Contains(ticketed, route.name) && c.Query(tokenParameter) != "":
	case who.Role == Nobody && who.Refused != nil:
		s.denied(c, route, http.StatusUnauthorized, fleet.CodeUnauthenticated)
		c.Header("WWW-Authenticate", "Bearer error=\"invalid_token\"")
		problemOf(who.Refused).write(c.Writer)
		c.Abort()
	case who.Role == Nobody:
		s.denied(c, route, http.StatusUnauthorized, fleet.CodeUnauthenticated)
		c.Header("WWW-Authenticate", "Bearer")
		refuse(c, fleet.CodeUnauthenticated, "%s needs a token, a certificate of this fleet or the local socket; set GRAPEVINE_TOKEN (grapevine login), or GRAPEVINE_CERT and GRAPEVINE_KEY", route.name)
	default:
		s.denied(c, route, http.StatusForbidden, fleet.CodeForbidden)
		refuse(c, fleet.CodeForbidden, "%s is not open to the role %s, only to %s", route.name, who.Role, roleNames(access[route.name]))
	}
	if misused != nil && !c.IsAborted() {
		problemOf(misused).write(c.Writer)
		c.Abort()
	}
}

// askedByHeader says for whom a registry asks an agent to change something.
const askedByHeader = "Grapevine-Asked-By"

// passedOnBy reads for whom a registry asks; nil for nobody else. From others the
// header is an error.
func passedOnBy(c *gin.Context, role PrincipalRole) (*fleet.Asker, error) {
	text := c.GetHeader(askedByHeader)
	if text == "" {
		return nil, nil
	}
	if role != AsRegistry {
		return nil, &fleet.Error{Code: fleet.CodeForbidden, Detail: askedByHeader + " is for registries, which pass on what others ask; leave it out"}
	}
	who, err := fleet.ParseAsker(text)
	if err != nil {
		return nil, badRequest("%s cannot be read: %v", askedByHeader, err)
	}
	return &who, nil
}

// DefaultPerSecond is how many requests of one user a node serves each second
// that has no users file.
const DefaultPerSecond = 100

// paced lets each person through so often; certificates are not counted.
func (s *server) paced(c *gin.Context) {
	who := principalOf(c)
	if who.Person.User == "" {
		return
	}
	perSecond := DefaultPerSecond
	if s.opts.PerSecond != nil {
		perSecond = s.opts.PerSecond()
	}
	if !s.users.Allow(who.Person.User, float64(perSecond), 2*perSecond, time.Now()) {
		refuse(c, fleet.CodeTooMany, "user %s asks more than %d times a second; try again in a second", who.Person.User, perSecond)
	}
}

func roleNames(roles []PrincipalRole) string {
	names := make([]string, len(roles))
	for i, role := range roles {
		names[i] = string(role)
	}
	return strings.Join(names, ", ")
}

// queried refuses parameters that the route does not know: a filter that is
// ignored answers another question than the one asked.
func (s *server) queried(c *gin.Context) {
	route := s.served(c)
	if route == nil || c.Request.URL.RawQuery == "" {
		return
	}
	query, err := url.ParseQuery(c.Request.URL.RawQuery)
	if err != nil {
		refuse(c, fleet.CodeBadRequest, "the query cannot be read: %v; percent-encode its values", err)
		return
	}
	for name, values := range query {
		switch {
		case !slices.Contains(route.query, name):
			refuse(c, fleet.CodeUnknownFilter, "unknown query parameter %.80q; %s knows %s", name, route.name, known(route.query))
		case len(values) > 1 && !slices.Contains(route.many, name):
			refuse(c, fleet.CodeBadRequest, "query parameter %s is given %d times; give it once", name, len(values))
		case slices.Contains(values, ""):
			refuse(c, fleet.CodeBadRequest, "query parameter %s is empty; give it a value or leave it out", name)
		default:
			continue
		}
		return
	}
}

func known(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// hurried bounds how long a body may take to come, whoever reads it: of one that
// nobody wants net/http reads some before it answers. The bound ends with the
// body, for the reply may be held for longer.
func hurried(c *gin.Context) {
	if c.Request.Body != nil && c.Request.Body != http.NoBody {
		_ = http.NewResponseController(c.Writer).SetReadDeadline(time.Now().Add(bodyTimeout)) // a connection without deadlines has keep-alives
	}
}

// arrived lifts that bound.
func arrived(c *gin.Context) {
	_ = http.NewResponseController(c.Writer).SetReadDeadline(time.Time{})
}

// bodied reads JSON bodies, bounded in size and time, before huma looks at
// them, and refuses bodies that nobody would read.
func (s *server) bodied(c *gin.Context) {
	route := s.served(c)
	if route == nil || c.Request.Body == nil || route.body == streamBody {
		return
	}
	if route.body == noBody {
		if _, err := io.ReadFull(c.Request.Body, make([]byte, 1)); err != io.EOF {
			refuse(c, fleet.CodeBadRequest, "%s takes no body; its options are query parameters: %s", route.name, known(route.query))
			return
		}
		arrived(c)
		return
	}
	if content, ok := readBody(c); ok {
		c.Set(bodyKey, content)
		c.Request.Body = io.NopCloser(bytes.NewReader(content))
	}
}

// readBody returns the whole body.
func readBody(c *gin.Context) ([]byte, bool) {
	content, err := io.ReadAll(http.MaxBytesReader(c.Writer, c.Request.Body, fleet.MaxBodyBytes))
	if err == nil {
		arrived(c)
	}
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		refuse(c, fleet.CodeTooLarge, "the body is longer than %d bytes; send less", tooLarge.Limit)
	case err != nil:
		refuse(c, fleet.CodeBadRequest, "the body could not be read: it came too slowly or was cut off; send it again")
	case !utf8.Valid(content):
		refuse(c, fleet.CodeBadRequest, "the body is not valid UTF-8; send JSON in UTF-8")
	default:
		return content, true
	}
	return nil, false
}
