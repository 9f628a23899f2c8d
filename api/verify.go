package api

import (
	"context"
	"net/http"

	"grapevine/fleet"
)

const aboutVerify = "Ghosts, orphans, twins, copies at the wrong host, leaked disks, claims without machines: each finding says what it is and what to do. Nothing is changed. "

func (s *server) addVerify() {
	add(s, route{
		method: http.MethodGet, path: "/v1/verify", id: "verify-fleet", tag: "hosts", summary: "Look through the fleet for what does not add up",
		description: aboutVerify + "Every host is asked; one that does not answer is a finding.",
	}, s.verifyFleet)
	add(s, route{
		method: http.MethodGet, path: "/v1/hosts/{id}/verify", id: "verify-host", tag: "hosts", summary: "Look through one host for what does not add up",
		description: aboutVerify + "The host reads its hypervisor, its storage and its journal afresh.",
	}, s.verifyHost)
}

func (s *server) verifyFleet(ctx context.Context, _ *nothing) (*out[fleet.Verification], error) {
	return verified(s.reads(ctx).Verify(ctx))
}

func (s *server) verifyHost(ctx context.Context, in *named) (*out[fleet.Verification], error) {
	id, err := parseID("host", in.ID)
	if err != nil {
		return nil, err
	}
	return verified(s.reads(ctx).VerifyHost(ctx, id))
}

func verified(v fleet.Verification, err error) (*out[fleet.Verification], error) {
	if err != nil {
		return nil, err
	}
	v.Items = list(v.Items)
	return &out[fleet.Verification]{v}, nil
}
