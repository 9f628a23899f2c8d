package api

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"grapevine/internal/tracing"
)

// beginTrace begins the span of a request, once it is known who sent it. What is
// not below /v1, health checks and metrics, is asked every few seconds and is of
// no trace.
func (s *server) beginTrace(c *gin.Context, route *served, who *Principal) {
	if s.opts.Tracer == nil || !strings.HasPrefix(c.FullPath(), "/v1/") {
		return
	}
	ctx, span := s.opts.Tracer.Serve(c.Request.Context(), route.name, c.Request.Header, trustOf(who.Role))
	c.Request = c.Request.WithContext(ctx)
	// The path has ids in it and the query may have a ticket, so that only the
	// pattern is told; of the body nothing is.
	method, pattern, _ := strings.Cut(route.name, " ")
	span.Text("http.request.method", method)
	span.Text("http.route", pattern)
	span.Text("grapevine.role", string(who.Role))
	span.Text("grapevine.project", who.Person.Project)
}

// trustOf is what is believed of the trace context that somebody brings: only the
// nodes of the fleet decide what is sampled.
func trustOf(role PrincipalRole) tracing.Trust {
	switch role {
	case AsRegistry, AsAgent:
		return tracing.Node
	case Nobody:
		return tracing.Distrusted
	default:
		return tracing.Known
	}
}

// endTrace ends the span of a request with its status. What the caller did wrong
// is no fault of the node's.
func endTrace(c *gin.Context) {
	endSpan(tracing.Current(c.Request.Context()), c.Writer.Status())
}

func endSpan(span tracing.Span, status int) {
	span.Number("http.response.status_code", int64(status))
	if status >= http.StatusInternalServerError {
		span.Text("error.type", strconv.Itoa(status))
		span.Fail(http.StatusText(status))
	}
	span.End(nil)
}
