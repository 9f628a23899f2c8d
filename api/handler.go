package api

import (
	"log/slog"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"
	"github.com/gin-gonic/gin"

	"grapevine/internal/throttle"
	"grapevine/internal/tracing"
)

// Options is what a node serves beside its core; all fields may be zero.
type Options struct {
	// Node adds the node routes, claims and keys. Nil on a registry.
	Node Node
	// Enrolment adds how nodes get in; nil leaves it out.
	Enrolment Enrolment
	// Principal says who sent a request, from its certificate, token or socket.
	// Nil makes everybody nobody.
	Principal func(*http.Request) Principal
	// People adds logging in, and who may; nil on an agent.
	People People
	// PerSecond is how many requests of one user are served each second, with twice as
	// many at once; nil is DefaultPerSecond.
	PerSecond func() int
	// OpenMetrics lets anyone read Metrics.
	OpenMetrics bool
	// Ready returns why the node cannot answer for the fleet yet; its error is
	// shown to anyone who asks /readyz. Nil is always ready.
	Ready func() error
	// Metrics is mounted at /metrics.
	Metrics http.Handler
	// Log gets one line for each request: mutations at info, reads at debug.
	Log *slog.Logger
	// Audit is told of every request that changes something, and of those refused.
	// Nil on a registry, which has no disk: it says to agents for whom it asks.
	Audit Auditor
	// Tracer begins the trace of each request below /v1; nil begins none.
	Tracer *tracing.Tracer
	// Version is the node's release.
	Version string
}

// server is one node's API.
type server struct {
	core   Core
	opts   Options
	log    *slog.Logger
	engine *gin.Engine
	api    huma.API
	routes map[string]*served // by method and gin's path
	pace   pace               // of consoles
	users  *throttle.Throttle // of people, by name
}

// NewHandler returns the native API of a node. It starts nothing and holds no
// state beside its arguments.
func NewHandler(core Core, opts Options) http.Handler {
	return newServer(core, opts).engine
}

func newServer(core Core, opts Options) *server {
	gin.SetMode(gin.ReleaseMode)
	s := &server{core: core, opts: opts, log: opts.Log, engine: gin.New(), routes: map[string]*served{}, pace: consolePace, users: throttle.New()}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.engine.HandleMethodNotAllowed = true
	s.engine.RedirectTrailingSlash = false
	s.engine.Use(s.logged, hurried, s.authorised, s.paced, s.queried, s.bodied, s.dated, s.audited)
	s.engine.NoRoute(noRoute)
	s.engine.NoMethod(noMethod)
	s.api = humagin.New(s.engine, s.config())
	s.addHealth()
	s.addHosts()
	s.addRecords()
	s.addAudit()
	s.addObjects()
	s.addIntents()
	s.addTokens()
	s.addInstances()
	s.addImages()
	s.addImageURL()
	s.addImageDelete()
	s.addUploads()
	s.addPlacement()
	s.addMesh()
	s.addWitnesses()
	s.addWatch()
	s.addTrace()
	s.addGossip()
	s.addConsoles()
	s.addEnrolment()
	s.addTrust()
	s.addNode()
	s.serveDocument()
	return s
}

// config leaves out huma's own schema links, documentation pages and CBOR.
func (s *server) config() huma.Config {
	return huma.Config{
		OpenAPI:      s.document(),
		Formats:      map[string]huma.Format{"application/json": huma.DefaultJSONFormat, "json": huma.DefaultJSONFormat},
		Transformers: []huma.Transformer{asProblem},
	}
}

// secretBodies are the operations whose bodies are secrets: no error repeats a value
// of them, whatever is wrong with it.
var secretBodies = map[string]bool{"issue-token": true, "join": true}

// asProblem turns the errors that huma itself makes into problem documents.
func asProblem(hc huma.Context, _ string, v any) (any, error) {
	if m, ok := v.(*huma.ErrorModel); ok {
		if op := hc.Operation(); op != nil && secretBodies[op.OperationID] {
			for _, fault := range m.Errors {
				fault.Value = nil
			}
		}
		return problemOfHuma(m), nil
	}
	return v, nil
}
