package api

import (
	"context"
	"net/http"

	"grapevine/fleet"
)

func (s *server) addMesh() {
	add(s, route{method: http.MethodGet, path: "/v1/mesh/members", id: "list-members", tag: "mesh", summary: "List the members of the mesh as this node sees them"}, rows(s.core.Members))
	add(s, route{method: http.MethodGet, path: "/v1/mesh/links", id: "list-links", tag: "mesh", summary: "List this node's links"}, rows(s.core.Links))
	add(s, route{
		method: http.MethodGet, path: "/v1/mesh/lag", id: "get-lag", tag: "mesh", summary: "Say how old this node's view of each host is",
		description: "Ages are in milliseconds by this node's monotonic clock, the oldest first: how long ago the host was surely alive.",
	}, s.getLag)
	add(s, route{method: http.MethodGet, path: "/v1/mesh/digest", id: "get-digest", tag: "mesh", summary: "Summarise what this node holds", description: "Two nodes with equal roots hold the same fleet."}, s.getDigest)
}

// rows handles a route that lists what the core has.
func rows[T any](read func(context.Context) (fleet.List[T], error)) func(context.Context, *nothing) (*out[fleet.List[T]], error) {
	return func(ctx context.Context, _ *nothing) (*out[fleet.List[T]], error) {
		l, err := read(ctx)
		if err != nil {
			return nil, err
		}
		l.Items = list(l.Items)
		return &out[fleet.List[T]]{l}, nil
	}
}

func (s *server) getDigest(ctx context.Context, _ *nothing) (*out[fleet.Digest], error) {
	digest, err := s.core.Digest(ctx)
	if err != nil {
		return nil, err
	}
	digest.Rows = list(digest.Rows)
	return &out[fleet.Digest]{digest}, nil
}

func (s *server) getLag(ctx context.Context, _ *nothing) (*out[fleet.Lag], error) {
	lag, err := s.core.Lag(ctx)
	if err != nil {
		return nil, err
	}
	lag.Rows = list(lag.Rows)
	return &out[fleet.Lag]{lag}, nil
}
