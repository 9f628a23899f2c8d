package api

import (
	"log/slog"
	"net/http"

	"grapevine/internal/tracing"
)

// FrontEnd is an API dialect that a registry serves beside the native one, over
// the same core. The registry knows of it no more than this; see docs/front-ends.md.
type FrontEnd struct {
	// Name is that of its table in registry.toml, [frontend.NAME], which mounts it.
	Name string
	// Open returns its handlers by the prefix of the paths that they serve, such as
	// /compute. Settings decodes the front end's table into a struct with toml tags;
	// a key that the struct does not have is an error. Open starts nothing.
	Open func(settings func(into any) error, front Front) (map[string]http.Handler, error)
}

// Front is what a front end is given of its registry.
type Front struct {
	Core Core
	// People has people log in; nil where the registry has no users file.
	People People
	// Principal says who sent a request.
	Principal func(*http.Request) Principal
	// PerSecond is how many requests of one user are served each second.
	PerSecond func() int
	// Log gets one line for each request.
	Log *slog.Logger
	// Tracer begins the span of each request; nil begins none.
	Tracer *tracing.Tracer
	// Version is the registry's release.
	Version string
}
