package api

import (
	"context"
	"net/http"

	"grapevine/fleet"
)

type traceIn struct {
	Instance string `query:"instance" doc:"id of an instance: its host's block is traced"`
	Host     string `query:"host" doc:"id of a host, in place of an instance"`
	Local    bool   `query:"local" doc:"only what this node itself knows; it asks no other"`
}

type diffIn struct {
	A string `query:"a" doc:"name, id or address of a member; left out: the node that is asked"`
	B string `query:"b" doc:"name, id or address of a member; left out: the node that is asked"`
}

func (s *server) addTrace() {
	add(s, route{
		method: http.MethodGet, path: "/v1/mesh/trace", id: "trace-block", tag: "mesh", summary: "Say which node learnt a host's newest version from whom and when",
		description: "The node asks all others that are alive, and lists those that do not answer in time. Wall clocks are those of the nodes, for people only; " +
			"ages are by their monotonic clocks.",
	}, s.getTrace)
	add(s, route{
		method: http.MethodGet, path: "/v1/mesh/diff", id: "diff-nodes", tag: "mesh", summary: "Compare what two nodes hold",
		description: "The node reads the digests of both, one after the other: what changes meanwhile shows as a difference.",
	}, s.getDiff)
}

func (s *server) getTrace(ctx context.Context, in *traceIn) (*out[fleet.Trace], error) {
	q := fleet.TraceQuery{Local: in.Local}
	var err error
	switch {
	case (in.Instance == "") == (in.Host == ""):
		return nil, badRequest("give either instance or host, an id")
	case in.Instance != "":
		q.Instance, err = parseID("instance", in.Instance)
	default:
		q.Host, err = parseID("host", in.Host)
	}
	if err != nil {
		return nil, err
	}
	trace, err := s.core.Trace(ctx, q)
	if err != nil {
		return nil, err
	}
	trace.Nodes = list(trace.Nodes)
	return &out[fleet.Trace]{trace}, nil
}

func (s *server) getDiff(ctx context.Context, in *diffIn) (*out[fleet.DigestDiff], error) {
	if in.A == in.B {
		return nil, badRequest("a and b are the same node; name two, or one that is not the node asked")
	}
	diff, err := s.core.Diff(ctx, in.A, in.B)
	if err != nil {
		return nil, err
	}
	diff.Hosts = list(diff.Hosts)
	return &out[fleet.DigestDiff]{diff}, nil
}
