package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"grapevine/fleet"
)

// Auditor keeps the log of what a node was asked to change.
type Auditor interface {
	// Audit begins the entry of a request. The context that it returns brings the
	// entry to the first write that promises something on the request's behalf. With
	// ahead no such write is to come: the entry is written before this returns, and
	// where that fails the request is refused.
	Audit(ctx context.Context, e fleet.AuditEntry, ahead bool) (context.Context, error)
	// Answered adds what became of the request that was given this context.
	Answered(ctx context.Context, status int, code string)
	// Denied notes a request that was refused for want of rights. It does not block.
	Denied(e fleet.AuditEntry)
}

// unaudited are the routes that change nothing in spite of their method, and the
// votes of nodes about who has a key, which change no host either.
var unaudited = map[string]bool{
	"POST /v1/placements":  true,
	"PUT /v1/keys/{id}":    true,
	"PUT /v1/grants/{key}": true,
	"PUT /v1/witness":      true,
}

// promising are the routes whose handlers write what they promise into the
// agent's journal, and the entry with it. Sent again, a request that promises
// nothing new has no entry. The entries of all other routes are written before
// they are begun.
var promising = map[string]bool{
	"POST /v1/hosts/{id}/drain":        true,
	"POST /v1/hosts/{id}/undrain":      true,
	"POST /v1/hosts/{id}/{action}":     true,
	"POST /v1/hosts/{id}/declare-dead": true,
	"POST /v1/hosts/{id}/revoke":       true,
	"POST /v1/hosts/{id}/forget":       true,
	"POST /v1/trust":                   true,

	"POST /v1/groups":          true,
	"DELETE /v1/groups/{id}":   true,
	"POST /v1/keypairs":        true,
	"DELETE /v1/keypairs/{id}": true,

	"POST /v1/instances":                    true,
	"DELETE /v1/instances/{id}":             true,
	"POST /v1/instances/{id}/resize":        true,
	"POST /v1/instances/{id}/{action}":      true,
	"POST /v1/instances/{id}/delete-intent": true,
	"POST /v1/instances/{id}/capture":       true,
	"POST /v1/instances/{id}/rebuild":       true,
	"POST /v1/instances/{id}/migrate":       true,
	"POST /v1/instances/{id}/autostart":     true,
	"POST /v1/instances/{id}/rescue":        true,
	"POST /v1/instances/{id}/unrescue":      true,
	"POST /v1/instances/{id}/export":        true,

	"POST /v1/instances/{id}/snapshots":               true,
	"POST /v1/instances/{id}/devices":                 true,
	"POST /v1/instances/{id}/snapshots/{name}/revert": true,
	"POST /v1/instances/{id}/devices/{name}/grow":     true,
	"DELETE /v1/instances/{id}/snapshots/{name}":      true,
	"DELETE /v1/instances/{id}/devices/{name}":        true,

	"POST /v1/images/import":   true,
	"PUT /v1/records/{id}":     true,
	"PUT /v1/moves/{id}":       true,
	"PUT /v1/claims/{id}":      true,
	"PUT /v1/sizes/{id}":       true,
	"PUT /v1/withdrawals/{id}": true,
}

// changes reports whether a request may change something.
func changes(c *gin.Context) bool {
	return c.Request.Method != http.MethodGet && c.Request.Method != http.MethodHead && c.Request.Method != http.MethodOptions
}

// audited has a request that changes something noted down. A node that keeps no
// log says to those that do for whom it asks.
func (s *server) audited(c *gin.Context) {
	route := s.served(c)
	if route == nil || !changes(c) {
		return
	}
	if s.opts.Audit == nil {
		c.Request = c.Request.WithContext(fleet.OnBehalf(c.Request.Context(), askerOf(c)))
		return
	}
	if unaudited[route.name] {
		return
	}
	entry := s.entry(c, route)
	entry.For = principalOf(c).For
	// Whoever needs no rights must not be able to fill the log before anything is
	// looked at.
	open := principalOf(c).Role == Nobody
	ctx, err := s.opts.Audit.Audit(c.Request.Context(), entry, !promising[route.name] && !open)
	if err != nil {
		problemOf(err).write(c.Writer)
		c.Abort()
		return
	}
	said := &outcome{}
	c.Request = c.Request.WithContext(context.WithValue(ctx, outcomeKey{}, said))
	c.Next()
	switch status := c.Writer.Status(); {
	case open && status >= http.StatusBadRequest:
		s.denied(c, route, status, said.code)
	case open:
		s.opts.Audit.Answered(ctx, status, fleet.AuditAccepted)
	case status >= http.StatusBadRequest:
		s.opts.Audit.Answered(ctx, status, string(said.code))
	}
}

// outcome is what a handler's error said.
type outcome struct{ code fleet.Code }

type outcomeKey struct{}

// tell notes the code of an error that ends a request.
func tell(ctx context.Context, code fleet.Code) {
	if said, ok := ctx.Value(outcomeKey{}).(*outcome); ok {
		said.code = code
	}
}

// denied notes a request that was refused for want of rights.
func (s *server) denied(c *gin.Context, route *served, status int, code fleet.Code) {
	if s.opts.Audit == nil {
		return
	}
	e := s.entry(c, route)
	e.Status, e.Code, e.Request = status, string(code), ""
	s.opts.Audit.Denied(e)
}

func (s *server) entry(c *gin.Context, route *served) fleet.AuditEntry {
	name := route.name
	for _, part := range c.Params {
		if part.Key != "id" {
			name = strings.Replace(name, "{"+part.Key+"}", part.Value, 1)
		}
	}
	sum := sha256.New()
	sum.Write([]byte(c.Request.Method + " " + c.Request.RequestURI + "\n"))
	sum.Write(bodyOf(c))
	return fleet.AuditEntry{
		At: time.Now(), Who: askerOf(c), Route: name, Subject: c.Param("id"), Request: hex.EncodeToString(sum.Sum(nil)), Code: fleet.AuditAccepted,
	}
}

func askerOf(c *gin.Context) fleet.Asker { return askerFor(principalOf(c), c.Request.RemoteAddr) }

// askerFor is a principal as agents and audit logs are told of it.
func askerFor(who Principal, address string) fleet.Asker {
	name := who.Name
	if who.Person.User != "" {
		name = who.Person.String()
	}
	return fleet.Asker{Role: string(who.Role), Name: name, ID: who.ID, Address: address}.Bounded()
}
