package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"

	"grapevine/fleet"
)

type migrateIn struct {
	KeyedMutation
	Body fleet.Migrate
}

func (s *server) addMigrate() {
	add(s, route{
		method: http.MethodPost, path: "/v1/instances/{id}/migrate", id: "migrate-instance", tag: "instances", status: http.StatusAccepted, summary: "Move a stopped instance to another host",
		description: "It keeps its id, name, disks, network cards with their addresses, labels and what cloud-init was told; its generation rises by one. Both hosts have the same hypervisor. " +
			"While it is on its way nothing else is done to it. A failed move leaves it where it was, with the reason in its row. " + about,
	}, s.migrateInstance)
}

func (s *server) migrateInstance(ctx context.Context, in *migrateIn) (*acceptedOut, error) {
	return s.mutate(ctx, in, func(id fleet.InstanceID) (fleet.Accepted, error) {
		return s.core.MigrateInstance(ctx, id, in.Body, in.Key)
	})
}

type moveIn struct {
	ID string `path:"id" doc:"the id of the source's operation"`
}

type offerIn struct {
	ID   string `path:"id" doc:"the id of the source's operation"`
	Body fleet.Move

	who Principal
}

// Resolve implements huma.Resolver.
func (in *offerIn) Resolve(hc huma.Context) []error {
	in.who = principalOf(humagin.Unwrap(hc))
	return nil
}

func (s *server) addMoves() {
	const path = "/v1/moves/{id}"
	add(s, route{
		method: http.MethodPut, path: path, id: "put-move", tag: "nodes", summary: "Offer an instance to this host",
		description: "By the host that it is to leave. This host makes its machine, and takes it over once the other has given it away. The same offer again tells how far that is.",
	}, s.offerMove)
	add(s, route{method: http.MethodGet, path: path, id: "get-move", tag: "nodes", summary: "Show how far a move from or to this host is"}, s.getMove)
}

func (s *server) offerMove(ctx context.Context, in *offerIn) (*out[fleet.MoveReport], error) {
	if in.Body.ID != in.ID {
		return nil, invalid("the offer is move %.80q and the path %.80q; they must be the same", in.Body.ID, in.ID)
	}
	if err := in.Body.Validate(); err != nil {
		return nil, err
	}
	report, err := s.opts.Node.OfferMove(ctx, in.Body, in.who)
	if err != nil {
		return nil, err
	}
	return &out[fleet.MoveReport]{report}, nil
}

func (s *server) getMove(ctx context.Context, in *moveIn) (*out[fleet.MoveReport], error) {
	report, err := s.opts.Node.MoveAt(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return &out[fleet.MoveReport]{report}, nil
}
