package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"

	"grapevine/fleet"
)

type releaseIn struct {
	ID   string `path:"id" doc:"its id"`
	Body fleet.Decide

	who Principal
}

// Resolve implements huma.Resolver.
func (in *releaseIn) Resolve(hc huma.Context) []error {
	in.who = principalOf(humagin.Unwrap(hc))
	return nil
}

func (s *server) addRelease() {
	add(s, route{
		method: http.MethodPost, path: "/v1/hosts/{id}/release", id: "release-host", tag: "hosts", summary: "End the quarantine of a host",
		description: "It is trusted as it is, whatever it waits for; who said so and why is kept. Instances that are superseded there stay so until somebody adopts or disowns them.",
	}, s.releaseHost)
}

func (s *server) releaseHost(ctx context.Context, in *releaseIn) (*hostOut, error) {
	id, err := parseID("host", in.ID)
	if err != nil {
		return nil, err
	}
	if err := fleet.CheckReason(in.Body.Reason); err != nil {
		return nil, err
	}
	if in.Body.By, err = decider(in.who, in.Body.By); err != nil {
		return nil, err
	}
	host, err := s.core.ReleaseHost(ctx, id, in.Body)
	if err != nil {
		return nil, err
	}
	return &hostOut{Version: host.Version.String(), Body: presentHost(host)}, nil
}

// decider is who decides: whoever sent the request or, where a registry passes
// one on, whoever sent it there.
func decider(who Principal, by string) (string, error) {
	switch {
	case by == "" && who.Name == "":
		return string(who.Role), nil
	case by == "":
		return string(who.Role) + " " + who.Name, nil
	case who.Role == AsRegistry:
		return by, nil
	default:
		return "", invalid("by is for registries that pass a request on; leave it out")
	}
}
