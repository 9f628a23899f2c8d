package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"

	"grapevine/fleet"
)

type intendIn struct {
	ID   string `path:"id" doc:"the instance's id"`
	Body fleet.Decide

	who Principal
}

// Resolve implements huma.Resolver.
func (in *intendIn) Resolve(hc huma.Context) []error {
	in.who = principalOf(humagin.Unwrap(hc))
	return nil
}

func (s *server) addIntents() {
	add(s, route{
		method: http.MethodPost, path: "/v1/instances/{id}/delete-intent", id: "intend-delete", tag: "instances", summary: "Have an instance deleted when its host is back",
		description: "For an instance whose host cannot be heard; otherwise it is to be deleted now. It is a record, held by three agents (all, where there are fewer) before this answers; " +
			"503 too_few_holders says how many hold it, and the same request may be sent again. The host deletes the machine that is meant, and no other that bears its id later.",
	}, s.intendDelete)
}

func (s *server) intendDelete(ctx context.Context, in *intendIn) (*out[fleet.Decided], error) {
	id, err := parseID("instance", in.ID)
	if err != nil {
		return nil, err
	}
	if err := fleet.CheckReason(in.Body.Reason); err != nil {
		return nil, err
	}
	done, err := s.core.IntendDelete(ctx, id, in.Body, in.who)
	if err != nil {
		return nil, err
	}
	done.Holders = list(done.Holders)
	return &out[fleet.Decided]{done}, nil
}
