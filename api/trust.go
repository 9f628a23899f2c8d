package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"

	"grapevine/fleet"
)

type trustIn struct {
	Local bool `query:"local" doc:"only what this node itself trusts; it asks no other"`
}

type changeTrustIn struct {
	Body fleet.ChangeTrust

	who Principal
}

// Resolve implements huma.Resolver.
func (in *changeTrustIn) Resolve(hc huma.Context) []error {
	in.who = principalOf(humagin.Unwrap(hc))
	return nil
}

func (s *server) addTrust() {
	add(s, route{
		method: http.MethodGet, path: "/v1/trust", id: "get-trust-report", tag: "joining", summary: "Say which roots the fleet trusts, and how far its nodes have come with them",
		description: "All other nodes are asked, unless local is given. One that cannot be asked is in the answer, with why.",
	}, s.trustReport)
	add(s, route{
		method: http.MethodPost, path: "/v1/trust", id: "change-trust", tag: "joining", summary: "Have a list of roots followed",
		description: "The list is signed by a root that is trusted, and has a higher number than the one that is followed; every node that hears of it judges that for itself. " +
			"Refused with conflict where it would cut off nodes that nobody gave up, unless force is given. It is a record: in force as soon as one agent holds it, and answered once three agents (all, where there are fewer) have it.",
	}, s.changeTrust)
}

func (s *server) trustReport(ctx context.Context, in *trustIn) (*out[fleet.TrustReport], error) {
	report, err := s.reads(ctx).TrustReport(ctx, in.Local)
	if err != nil {
		return nil, err
	}
	report.Roots, report.Nodes = list(report.Roots), list(report.Nodes)
	for i := range report.Nodes {
		report.Nodes[i].Trusts = list(report.Nodes[i].Trusts)
	}
	return &out[fleet.TrustReport]{report}, nil
}

func (s *server) changeTrust(ctx context.Context, in *changeTrustIn) (*out[fleet.Decided], error) {
	if err := fleet.CheckReason(in.Body.Reason); err != nil {
		return nil, err
	}
	if len(in.Body.Trust) > fleet.MaxTrustBytes {
		return nil, invalid("the list of roots is %d bytes long; at most %d are taken", len(in.Body.Trust), fleet.MaxTrustBytes)
	}
	done, err := s.core.ChangeTrust(ctx, in.Body, in.who)
	if err != nil {
		return nil, err
	}
	done.Holders = list(done.Holders)
	return &out[fleet.Decided]{done}, nil
}
