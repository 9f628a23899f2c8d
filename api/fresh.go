package api

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gin-gonic/gin"

	"grapevine/fleet"
)

// atLeastHeader asks for an answer that is not older than a version, the
// Grapevine-Version of an earlier answer.
const atLeastHeader = "Grapevine-At-Least"

// ownerWithin is how long the owner of a version may take to begin its answer.
const ownerWithin = 10 * time.Second

// What a request's context has of Grapevine-At-Least: the version, and whom to
// read from.
type (
	atLeastKey struct{}
	readsKey   struct{}
)

// freshIn is the input of a route about one thing that may be read at its owner.
type freshIn struct {
	ID    string `path:"id" doc:"its id"`
	Fresh string `query:"fresh" enum:"required,own" doc:"required: the host itself is asked, and asks its hypervisor; where it cannot be asked the answer is 503 not_current, never an older one. own: the same, of the asked agent's own host alone"`
}

// read reads the one thing as freshly as was asked for.
func read[ID, T any](ctx context.Context, how string, id ID, known, fresh, own func(context.Context, ID) (T, error)) (T, error) {
	switch how {
	case "required":
		return fresh(ctx, id)
	case "own":
		return own(ctx, id)
	default:
		return known(ctx, id)
	}
}

// dated reports whether the route reads the fleet, and so heeds
// Grapevine-At-Least. What the mesh shows and who may log in is this node's own,
// and witnesses are asked themselves.
func (r *route) dated() bool {
	return r.method == http.MethodGet && r.path != uploadPath && !slices.Contains([]string{"mesh", "node", "nodes", "consoles", "witnesses", "people", "audit", "joining"}, r.tag)
}

// atLeastParameter documents the header.
func (s *server) atLeastParameter() *huma.Param {
	return &huma.Param{
		Name: atLeastHeader, In: "header", Schema: versionText{}.Schema(s.api.OpenAPI().Components.Schemas),
		Description: "the Grapevine-Version of an earlier answer, host:epoch:seq: this one shall not be older. A node that has not heard of it yet waits a moment " +
			"and then has that host answer; where neither helps, the answer is 503 not_current with Retry-After. One that cannot be read is 400.",
	}
}

// dated reads the header of routes that heed it.
func (s *server) dated(c *gin.Context) {
	route, given := s.served(c), c.Request.Header.Values(atLeastHeader)
	if route == nil || !route.dated || len(given) == 0 {
		return
	}
	at, err := fleet.ParseVersion(given[0])
	switch {
	case len(given) > 1:
		refuse(c, fleet.CodeBadRequest, "%s is given %d times; give it once", atLeastHeader, len(given))
	case err != nil:
		refuse(c, fleet.CodeBadRequest, "%s %v; send the Grapevine-Version of an earlier answer as it was", atLeastHeader, err)
	default:
		c.Request = c.Request.WithContext(context.WithValue(c.Request.Context(), atLeastKey{}, at))
	}
}

// datedHandler is a handler that answers with nothing older than was asked for.
// The owner of a version that this node lacks has a bounded time to begin; what
// it then streams may take longer.
func datedHandler[I, O any](s *server, handle func(context.Context, *I) (*O, error)) func(context.Context, *I) (*O, error) {
	return func(ctx context.Context, in *I) (*O, error) {
		at, asked := ctx.Value(atLeastKey{}).(fleet.Version)
		if !asked {
			return handle(ctx, in)
		}
		from, err := s.core.AtLeast(ctx, at)
		if err != nil {
			return nil, err
		}
		ctx, cancel := context.WithCancelCause(context.WithValue(ctx, readsKey{}, from))
		late := time.AfterFunc(ownerWithin, func() { cancel(context.DeadlineExceeded) })
		defer late.Stop()
		out, err := handle(ctx, in)
		if err != nil {
			cancel(nil)
			return nil, s.core.Behind(at, err)
		}
		return out, nil
	}
}

// reads returns whom a request is to be answered from.
func (s *server) reads(ctx context.Context) Reads {
	if from, ok := ctx.Value(readsKey{}).(Reads); ok {
		return from
	}
	return s.core
}
