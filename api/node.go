package api

import (
	"context"
	"net/http"

	"grapevine/fleet"
)

type claimIn struct {
	ID   string `path:"id" doc:"its id"`
	Body fleet.Proposal
}

type withdrawIn struct {
	ID   string `path:"id" doc:"the instance's id"`
	Body fleet.Withdraw
}

type sizeIn struct {
	ID   string `path:"id" doc:"the instance's id"`
	Body fleet.Size
}

type keyIn struct {
	ID   string `path:"id" doc:"its id"`
	Body fleet.KeyChange
}

// addNode adds what agents serve to registries and to one another.
func (s *server) addNode() {
	if s.opts.Node == nil {
		return
	}
	add(s, route{
		method: http.MethodPut, path: "/v1/claims/{id}", id: "put-claim", tag: "nodes", status: http.StatusAccepted,
		summary: "Propose an instance to this host", description: "The host promises durably, or refuses durably with its reasons and its fresh row.",
	}, s.putClaim)
	add(s, route{
		method: http.MethodPut, path: "/v1/withdrawals/{id}", id: "put-withdrawal", tag: "nodes",
		summary: "Ask whether an instance is at this host, and have it refused", description: "Where the instance is not there the host refuses the attempt, and all before it, durably.",
	}, s.putWithdrawal)
	add(s, route{
		method: http.MethodPut, path: "/v1/sizes/{id}", id: "put-size", tag: "nodes", status: http.StatusAccepted,
		summary: "Give an instance of this host another size", description: "In numbers, as a registry has worked them out from a flavor. The host promises durably, or refuses.",
	}, s.putSize)
	add(s, route{method: http.MethodGet, path: "/v1/keys/{id}", id: "get-key", tag: "nodes", summary: "Show what this home holds of a key"}, s.getKey)
	add(s, route{
		method: http.MethodPut, path: "/v1/keys/{id}", id: "put-key", tag: "nodes",
		summary: "Compare and set a key's record", description: "Stores record if the attempt held is if_attempt, 0 for nothing held; the answer is what is held then.",
	}, s.putKey)
	add(s, route{
		method: http.MethodPut, path: "/v1/records/{id}", id: "put-record", tag: "nodes",
		summary: "Journal a copy of a record", description: "The agent holds it, and publishes it with its host's rows, from then on. The answer is what it holds under this id.",
	}, s.putRecord)
	s.addMoves()
	s.addWitness()
	s.addImageFiles()
}

func (s *server) putClaim(ctx context.Context, in *claimIn) (*acceptedOut, error) {
	id, err := parseID("instance", in.ID)
	if err != nil {
		return nil, err
	}
	switch {
	case in.Body.ID != id:
		return nil, invalid("the proposal is for instance %s and the path for %s; they must be the same", in.Body.ID, id)
	case in.Body.Attempt == 0:
		return nil, invalid("attempt is 0; attempts count from 1")
	case !isHash(in.Body.RequestHash):
		return nil, invalid("request_hash %.80q is not 64 lower-case hexadecimal digits", in.Body.RequestHash)
	}
	if err := in.Body.Validate(); err != nil {
		return nil, err
	}
	accepted, err := s.opts.Node.Claim(ctx, in.Body)
	if err != nil {
		return nil, err
	}
	return s.reply(ctx, accepted, 0), nil
}

func (s *server) putWithdrawal(ctx context.Context, in *withdrawIn) (*out[fleet.Withdrawn], error) {
	id, err := parseID("instance", in.ID)
	if err != nil {
		return nil, err
	}
	answer, err := s.opts.Node.Withdraw(ctx, id, in.Body)
	if err != nil {
		return nil, err
	}
	return &out[fleet.Withdrawn]{answer}, nil
}

func (s *server) putSize(ctx context.Context, in *sizeIn) (*acceptedOut, error) {
	id, err := parseID("instance", in.ID)
	if err != nil {
		return nil, err
	}
	if err := in.Body.Validate(); err != nil {
		return nil, err
	}
	accepted, err := s.opts.Node.SetSize(ctx, id, in.Body)
	if err != nil {
		return nil, err
	}
	return s.reply(ctx, accepted, 0), nil
}

func (s *server) getKey(ctx context.Context, in *named) (*out[fleet.KeyRecord], error) {
	id, err := parseID("instance", in.ID)
	if err != nil {
		return nil, err
	}
	record, err := s.opts.Node.Key(ctx, id)
	if err != nil {
		return nil, err
	}
	return &out[fleet.KeyRecord]{record}, nil
}

func (s *server) putKey(ctx context.Context, in *keyIn) (*out[fleet.KeyAnswer], error) {
	id, err := parseID("instance", in.ID)
	if err != nil {
		return nil, err
	}
	if err := in.Body.Record.ValidKey(id); err != nil {
		return nil, err
	}
	answer, err := s.opts.Node.ChangeKey(ctx, id, in.Body)
	if err != nil {
		return nil, err
	}
	return &out[fleet.KeyAnswer]{answer}, nil
}

// isHash reports whether s is a SHA-256 as images' ids are written.
func isHash(s string) bool { return fleet.IsImageID(s) }
