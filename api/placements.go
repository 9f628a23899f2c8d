package api

import (
	"context"
	"net/http"

	"grapevine/fleet"
)

type explainIn struct {
	Body fleet.Create
}

func (s *server) addPlacement() {
	add(s, route{method: http.MethodGet, path: "/v1/flavors", id: "list-flavors", tag: "placement", summary: "List flavors"}, s.listFlavors)
	add(s, route{
		method: http.MethodPost, path: "/v1/placements", id: "explain-placement", tag: "placement",
		summary:     "Say where a create would go, and why every other host refuses",
		description: "The body is that of a create. Nothing is promised. When no host fits, chosen is absent.",
	}, s.explain)
	add(s, route{
		method: http.MethodGet, path: "/v1/operations/{id}", id: "get-operation", tag: "operations",
		summary: "Show an operation", description: "Any node answers: it asks the host that does the operation.",
	}, s.getOperation)
}

func (s *server) listFlavors(ctx context.Context, _ *nothing) (*out[fleet.List[fleet.Flavor]], error) {
	flavors, err := s.reads(ctx).Flavors(ctx)
	if err != nil {
		return nil, err
	}
	return &out[fleet.List[fleet.Flavor]]{presentList(flavors, asIs)}, nil
}

func (s *server) explain(ctx context.Context, in *explainIn) (*out[fleet.Explanation], error) {
	if err := in.Body.Validate(); err != nil {
		return nil, err
	}
	explanation, err := s.core.Explain(ctx, in.Body)
	if err != nil {
		return nil, err
	}
	return &out[fleet.Explanation]{presentExplanation(explanation)}, nil
}

func (s *server) getOperation(ctx context.Context, in *named) (*out[fleet.Operation], error) {
	if _, _, err := fleet.ParseOperationID(in.ID); err != nil {
		return nil, badRequest("%v", err)
	}
	operation, err := s.reads(ctx).Operation(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	if askingIn(ctx).who.OfProject() && s.own(ctx, operation.Instance.String()) != nil {
		return nil, &fleet.Error{Code: fleet.CodeNotFound, Detail: "no operation " + in.ID + " is about an instance of the project; one of an instance that is gone is shown to operators"}
	}
	return &out[fleet.Operation]{operation}, nil
}
