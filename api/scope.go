package api

import (
	"context"
	"strings"

	"grapevine/fleet"
)

// scope is how a route keeps members and readers within their project.
type scope int

const (
	// ofInstance: the instance in the path has to be of the project.
	ofInstance scope = iota + 1
	// ofProject: the handler asks for what is of the project alone, with within.
	ofProject
	// ofAll: what is answered belongs to nobody, or is veiled.
	ofAll
	// ofSelf: it is about who asks.
	ofSelf
)

// scopes has every route that is open to members or readers. One that is not here
// is not served to them.
var scopes = map[string]scope{
	"GET /healthz":      ofAll,
	"GET /readyz":       ofAll,
	"GET /version":      ofAll,
	"GET /openapi.json": ofAll,

	"GET /v1/login":                  ofAll,
	"POST /v1/tokens":                ofSelf,
	"DELETE /v1/tokens/{id}":         ofSelf,
	"DELETE /v1/users/{name}/tokens": ofSelf,
	"GET /v1/projects":               ofSelf,

	"GET /v1/join":  ofAll,
	"POST /v1/join": ofSelf, // whoever has a join token

	"GET /v1/hosts":       ofAll,
	"GET /v1/hosts/{id}":  ofAll,
	"GET /v1/images":      ofAll,
	"GET /v1/images/{id}": ofAll,
	"GET /v1/flavors":     ofAll,

	"GET /v1/groups":           ofProject,
	"POST /v1/groups":          ofProject,
	"GET /v1/groups/{id}":      ofProject,
	"DELETE /v1/groups/{id}":   ofProject,
	"GET /v1/keypairs":         ofProject,
	"POST /v1/keypairs":        ofProject,
	"GET /v1/keypairs/{id}":    ofProject,
	"DELETE /v1/keypairs/{id}": ofProject,
	"GET /v1/instances":        ofProject,
	"POST /v1/instances":       ofProject,
	"GET /v1/operations/{id}":  ofProject,
}

// scopeOf returns the scope of a route.
func scopeOf(route string) scope {
	if _, path, _ := strings.Cut(route, " "); strings.HasPrefix(path, "/v1/instances/{id}") {
		return ofInstance
	}
	return scopes[route]
}

// asking is who sent a request, and the id in its path.
type asking struct {
	who Principal
	id  string
}

type askingKey struct{}

func askingIn(ctx context.Context) asking {
	a, _ := ctx.Value(askingKey{}).(asking)
	return a
}

// scopedHandler is a handler that shows members and readers nothing of other
// projects, and of hosts no more than they need.
func scopedHandler[I, O any](s *server, name string, handle func(context.Context, *I) (*O, error)) func(context.Context, *I) (*O, error) {
	return func(ctx context.Context, in *I) (*O, error) {
		a := askingIn(ctx)
		if !a.who.OfProject() {
			return handle(ctx, in)
		}
		switch scopeOf(name) {
		case ofInstance:
			if err := s.own(ctx, a.id); err != nil {
				return nil, a.who.Veil(err)
			}
		case ofProject, ofAll, ofSelf:
		default:
			return nil, &fleet.Error{Code: fleet.CodeForbidden, Detail: name + " is not open to members and readers of projects"}
		}
		out, err := handle(ctx, in)
		return out, a.who.Veil(err)
	}
}

// own returns an error unless an instance is of the project of who asks: that of
// an instance that is not there, so that nobody learns of those of others.
func (s *server) own(ctx context.Context, text string) error {
	id, err := parseID("instance", text)
	if err != nil {
		return err
	}
	row, err := s.reads(ctx).Instance(ctx, id)
	if err != nil {
		return err
	}
	return askingIn(ctx).who.Sees(&row)
}

// within keeps a project that was asked for within what who asks may see.
func within(ctx context.Context, project *string) error { return askingIn(ctx).who.Within(project) }

// into is within for what is made.
func into(ctx context.Context, project *string) error { return askingIn(ctx).who.Into(project) }

// atRegistry refuses members what only a registry judges by quotas.
func (s *server) atRegistry(ctx context.Context) error {
	if s.opts.People == nil && askingIn(ctx).who.OfProject() {
		return &fleet.Error{Code: fleet.CodeMisdirected, Detail: "this is an agent, and what a project may take is judged by registries; send this to one of them"}
	}
	return nil
}

// veil shows a host to members and readers: what there is to choose from, and
// whether it answers; not how full it is, where it is reached, or what it is made of.
func veil(ctx context.Context, h fleet.Host) fleet.Host {
	if !askingIn(ctx).who.OfProject() {
		return h
	}
	return fleet.Host{
		ID: h.ID, Name: h.Name, Zone: h.Zone, Labels: h.Labels, Hypervisor: h.Hypervisor, State: h.State,
		Reachability: h.Reachability, ReachabilitySince: h.ReachabilitySince, Traits: h.Traits, Networks: h.Networks,
		Version: h.Version, ObservedAt: h.ObservedAt, AgeMS: h.AgeMS,
	}
}
