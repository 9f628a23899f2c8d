package api

import (
	"context"
	"net/http"

	"grapevine/fleet"
)

type usageIn struct {
	ID string `path:"id" doc:"the instance's id"`
}

func (s *server) addUsage() {
	add(s, route{
		method: http.MethodGet, path: "/v1/instances/{id}/usage", id: "get-usage", tag: "instances", summary: "Show what an instance has used since it was switched on",
		description: "Its host is asked. What its hypervisor does not count is absent, and everything of an instance that is switched off. " +
			"All instances of a host are in its agent's /metrics.",
	}, s.getUsage)
}

func (s *server) getUsage(ctx context.Context, in *usageIn) (*out[fleet.InstanceUsage], error) {
	id, err := parseID("instance", in.ID)
	if err != nil {
		return nil, err
	}
	used, err := s.reads(ctx).Usage(ctx, id)
	if err != nil {
		return nil, err
	}
	return &out[fleet.InstanceUsage]{used}, nil
}
