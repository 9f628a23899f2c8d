package api

import (
	"context"
	"testing"
	"time"

	"grapevine/fleet"
)

type fakeEnrolment struct{}

func (fakeEnrolment) CreateJoinToken(_ context.Context, ask fleet.MakeJoinToken, by string) (fleet.JoinToken, error) {
	return fleet.JoinToken{JoinTokenRow: fleet.JoinTokenRow{ID: "0123", Role: ask.Role}, Token: "gvj1.by " + by}, nil
}

func (fakeEnrolment) JoinTokens(context.Context) ([]fleet.JoinTokenRow, error) { return nil, nil }

func (fakeEnrolment) DropJoinToken(_ context.Context, id, _ string) (fleet.JoinTokenRow, error) {
	return fleet.JoinTokenRow{ID: id}, nil
}

func (fakeEnrolment) Trust() fleet.Trust { return fleet.Trust{Fleet: "home", CA: "PEM"} }

func (fakeEnrolment) Join(context.Context, fleet.Join) (fleet.Joined, error) {
	return fleet.Joined{Role: fleet.RoleAgent}, nil
}

func (fakeEnrolment) RenewCertificate(_ context.Context, _ fleet.RenewCertificate, role fleet.Role, id fleet.UUID, _ time.Time) (fleet.Joined, error) {
	return fleet.Joined{Role: role, ID: id}, nil
}

func TestJoinTokenIsAskedForWithinBounds(t *testing.T) {
	for body, want := range map[string]int{
		`{"ttl_s":604800}`: 201, `{"ttl_s":604801}`: 422, `{"ttl_s":-1}`: 422, `{"role":"operator"}`: 422, `{"role":"registry"}`: 201,
	} {
		if got := do(t, full(), request{method: "POST", target: "/v1/join-tokens", body: body, role: AsOperator}); got.Code != want {
			t.Errorf("%s: %d %s, want %d", body, got.Code, got.Body, want)
		}
	}
}
