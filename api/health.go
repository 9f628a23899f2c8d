package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"

	"grapevine/fleet"
)

// status is the answer of a probe.
type status struct {
	Status string `json:"status" enum:"ok"`
}

type version struct {
	Version string `json:"version" doc:"the node's release"`
}

func (s *server) addHealth() {
	add(s, route{method: http.MethodGet, path: "/healthz", id: "healthz", tag: "node", summary: "Say that the node answers at all"}, s.healthz)
	add(s, route{
		method: http.MethodGet, path: "/readyz", id: "readyz", tag: "node",
		summary: "Say whether the node can answer for the fleet", description: "503 not_ready with the reason while it cannot.",
	}, s.readyz)
	add(s, route{method: http.MethodGet, path: "/version", id: "version", tag: "node", summary: "Say which release the node runs"}, s.version)
	if s.opts.Metrics != nil {
		add(s, route{method: http.MethodGet, path: "/metrics", id: "metrics", tag: "node", summary: "Metrics in Prometheus' text format"}, s.metrics)
	}
}

func (s *server) healthz(context.Context, *nothing) (*out[status], error) {
	return &out[status]{status{"ok"}}, nil
}

func (s *server) readyz(context.Context, *nothing) (*out[status], error) {
	if s.opts.Ready != nil {
		if err := s.opts.Ready(); err != nil {
			return nil, &fleet.Error{Code: fleet.CodeNotReady, Detail: err.Error()}
		}
	}
	return &out[status]{status{"ok"}}, nil
}

func (s *server) version(context.Context, *nothing) (*out[version], error) {
	return &out[version]{version{s.opts.Version}}, nil
}

func (s *server) metrics(context.Context, *nothing) (*stream, error) {
	return &stream{func(hc huma.Context) {
		c := humagin.Unwrap(hc)
		s.opts.Metrics.ServeHTTP(c.Writer, c.Request)
	}}, nil
}
