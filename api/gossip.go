package api

import (
	"context"
	"net/http"

	"grapevine/fleet"
)

type rttIn struct {
	A string `query:"a" doc:"name, id or address of a member; left out: the node that is asked"`
	B string `query:"b" doc:"name, id or address of a member; left out: the node that is asked"`
}

type pingIn struct {
	To string `query:"to" required:"true" doc:"name, id or address of a member"`
}

type keysIn struct {
	Body fleet.GossipKeyChange
}

func (s *server) addGossip() {
	add(s, route{
		method: http.MethodGet, path: "/v1/mesh/rtt", id: "get-rtt", tag: "mesh", summary: "Estimate the round trip between two members",
		description: "From Serf's network coordinates, as this node knows them.",
	}, s.getRTT)
	add(s, route{method: http.MethodGet, path: "/v1/mesh/ping", id: "ping-member", tag: "mesh", summary: "Measure the round trip from this node to a member"}, s.getPing)
	add(s, route{
		method: http.MethodGet, path: "/v1/mesh/keys", id: "list-gossip-keys", tag: "mesh", summary: "List the gossip keys that the members hold",
		description: "Keys are named by fingerprint, the first 12 hexadecimal digits of their SHA-256, and never shown.",
	}, s.getKeys)
	add(s, route{
		method: http.MethodPost, path: "/v1/mesh/keys", id: "change-gossip-keys", tag: "mesh", summary: "Install, use or remove a gossip key at every member",
		description: "No node restarts. A key is rotated by installing the new one, using it, and removing the old one. Members that did not do it are listed as errors; asking again harms nothing.",
	}, s.changeKeys)
	add(s, route{
		method: http.MethodPost, path: "/v1/mesh/leave", id: "leave-mesh", tag: "mesh", status: http.StatusAccepted, summary: "Make this node leave the mesh and end",
		description: "It says good bye, so that the others list it as left and not as failed, and its process ends with exit code 0. Its host's machines go on.",
	}, s.leave)
}

func (s *server) getRTT(ctx context.Context, in *rttIn) (*out[fleet.RoundTrip], error) {
	if in.A == in.B {
		return nil, badRequest("a and b are the same node; name two, or one that is not the node asked")
	}
	trip, err := s.core.RTT(ctx, in.A, in.B)
	if err != nil {
		return nil, err
	}
	return &out[fleet.RoundTrip]{trip}, nil
}

func (s *server) getPing(ctx context.Context, in *pingIn) (*out[fleet.RoundTrip], error) {
	trip, err := s.core.Ping(ctx, in.To)
	if err != nil {
		return nil, err
	}
	return &out[fleet.RoundTrip]{trip}, nil
}

func (s *server) getKeys(ctx context.Context, _ *nothing) (*out[fleet.GossipKeyReport], error) {
	return keysOut(s.core.GossipKeys(ctx))
}

func (s *server) changeKeys(ctx context.Context, in *keysIn) (*out[fleet.GossipKeyReport], error) {
	switch in.Body.Action {
	case fleet.GossipKeyInstall, fleet.GossipKeyUse, fleet.GossipKeyRemove:
	default:
		return nil, invalid("action %.40q is not one of install, use, remove", string(in.Body.Action))
	}
	if in.Body.Key == "" && in.Body.Action != fleet.GossipKeyInstall {
		return nil, invalid("key is missing; give the fingerprint of a key that the members hold")
	}
	return keysOut(s.core.ChangeGossipKeys(ctx, in.Body))
}

func keysOut(report fleet.GossipKeyReport, err error) (*out[fleet.GossipKeyReport], error) {
	if err != nil {
		return nil, err
	}
	report.Keys, report.Errors = list(report.Keys), list(report.Errors)
	return &out[fleet.GossipKeyReport]{report}, nil
}

func (s *server) leave(ctx context.Context, _ *nothing) (*out[fleet.Member], error) {
	member, err := s.core.Leave(ctx)
	if err != nil {
		return nil, err
	}
	return &out[fleet.Member]{member}, nil
}
