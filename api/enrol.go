package api

import (
	"context"
	"net/http"
	"time"

	"grapevine/fleet"
)

// Enrolment lets nodes into the fleet: join tokens, and certificates. Where the
// node holds no CA, its methods return CodeNoCA.
type Enrolment interface {
	CreateJoinToken(ctx context.Context, ask fleet.MakeJoinToken, by string) (fleet.JoinToken, error)
	JoinTokens(ctx context.Context) ([]fleet.JoinTokenRow, error)
	DropJoinToken(ctx context.Context, id, by string) (fleet.JoinTokenRow, error)
	// Trust is for those who do not trust the node yet.
	Trust() fleet.Trust
	// Join takes a token for a certificate, once.
	Join(ctx context.Context, ask fleet.Join) (fleet.Joined, error)
	// RenewCertificate issues to a node that the transport has identified.
	RenewCertificate(ctx context.Context, ask fleet.RenewCertificate, role fleet.Role, id fleet.UUID, enrolled time.Time) (fleet.Joined, error)
}

type joinTokenIn struct{ Body fleet.MakeJoinToken }

type joinTokenID struct {
	ID string `path:"id" doc:"its id"`
}

type joinIn struct{ Body fleet.Join }

type renewIn struct{ Body fleet.RenewCertificate }

// addEnrolment adds how nodes get in.
func (s *server) addEnrolment() {
	if s.opts.Enrolment == nil {
		return
	}
	add(s, route{
		method: http.MethodPost, path: "/v1/join-tokens", id: "create-join-token", tag: "joining", status: http.StatusCreated, summary: "Make a one-time join token",
		description: "For a node that holds a CA. The token is shown once; the node keeps a hash of it, an agent in its journal, a registry in memory: its restart voids what it made.",
	}, s.createJoinToken)
	add(s, route{method: http.MethodGet, path: "/v1/join-tokens", id: "list-join-tokens", tag: "joining", summary: "List the join tokens that this node made and that can still be used"}, s.listJoinTokens)
	add(s, route{method: http.MethodDelete, path: "/v1/join-tokens/{id}", id: "delete-join-token", tag: "joining", summary: "Revoke a join token"}, s.deleteJoinToken)
	add(s, route{
		method: http.MethodGet, path: "/v1/join", id: "get-trust", tag: "joining", summary: "Show the fleet's name and its CA",
		description: "Who holds a join token compares the CA's hash with that in the token before it sends anything.",
	}, s.getTrust)
	add(s, route{
		method: http.MethodPost, path: "/v1/join", id: "join", tag: "joining", summary: "Take a join token for a certificate, once",
		description: "Open to whoever has a token. The key stays with the caller; the answer has all else that makes a member, the gossip key included.",
	}, s.join)
	add(s, route{
		method: http.MethodPost, path: "/v1/certificates", id: "renew-certificate", tag: "joining", status: http.StatusCreated, summary: "Renew the caller's own certificate",
		description: "By the present certificate of an agent or a registry. The new one is of the same subject and role.",
	}, s.renewCertificate)
}

func (s *server) createJoinToken(ctx context.Context, in *joinTokenIn) (*out[fleet.JoinToken], error) {
	if err := in.Body.Validate(); err != nil {
		return nil, err
	}
	if in.Body.Role == fleet.RoleRegistry && askingIn(ctx).who.Role == AsOperator && askingIn(ctx).who.Person.User != "" {
		return nil, &fleet.Error{Code: fleet.CodeForbidden, Detail: "a registry judges who everybody is, so only an admin, or an operator's certificate, lets one in"}
	}
	token, err := s.opts.Enrolment.CreateJoinToken(ctx, in.Body, askingIn(ctx).who.Word())
	if err != nil {
		return nil, err
	}
	return &out[fleet.JoinToken]{token}, nil
}

func (s *server) listJoinTokens(ctx context.Context, _ *struct{}) (*out[fleet.List[fleet.JoinTokenRow]], error) {
	rows, err := s.opts.Enrolment.JoinTokens(ctx)
	if err != nil {
		return nil, err
	}
	return &out[fleet.List[fleet.JoinTokenRow]]{fleet.List[fleet.JoinTokenRow]{Items: list(rows)}}, nil
}

func (s *server) deleteJoinToken(ctx context.Context, in *joinTokenID) (*out[fleet.JoinTokenRow], error) {
	row, err := s.opts.Enrolment.DropJoinToken(ctx, in.ID, askingIn(ctx).who.Word())
	if err != nil {
		return nil, err
	}
	return &out[fleet.JoinTokenRow]{row}, nil
}

func (s *server) getTrust(context.Context, *struct{}) (*out[fleet.Trust], error) {
	return &out[fleet.Trust]{s.opts.Enrolment.Trust()}, nil
}

func (s *server) join(ctx context.Context, in *joinIn) (*out[fleet.Joined], error) {
	joined, err := s.opts.Enrolment.Join(ctx, in.Body)
	if err != nil {
		return nil, err
	}
	return &out[fleet.Joined]{joined}, nil
}

func (s *server) renewCertificate(ctx context.Context, in *renewIn) (*out[fleet.Joined], error) {
	if askingIn(ctx).who.ID.IsZero() || askingIn(ctx).who.Enrolled.IsZero() {
		return nil, &fleet.Error{Code: fleet.CodeForbidden, Detail: "a certificate is renewed by the node that it is of, over TLS with its present one"}
	}
	renewed, err := s.opts.Enrolment.RenewCertificate(ctx, in.Body, fleet.Role(askingIn(ctx).who.Role), askingIn(ctx).who.ID, askingIn(ctx).who.Enrolled)
	if err != nil {
		return nil, err
	}
	return &out[fleet.Joined]{renewed}, nil
}
