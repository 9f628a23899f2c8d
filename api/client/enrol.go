package client

import (
	"context"
	"net/http"
	"net/url"

	"grapevine/fleet"
)

// CreateJoinToken makes a one-time join token at this node.
func (c *Client) CreateJoinToken(ctx context.Context, ask fleet.MakeJoinToken) (fleet.JoinToken, error) {
	return send[fleet.JoinToken](ctx, c, call{method: http.MethodPost, path: "/v1/join-tokens"}, ask)
}

// JoinTokens lists the join tokens that this node made and that can still be
// used.
func (c *Client) JoinTokens(ctx context.Context) (fleet.List[fleet.JoinTokenRow], error) {
	return get[fleet.List[fleet.JoinTokenRow]](ctx, c, "/v1/join-tokens", nil)
}

// DropJoinToken revokes a join token of this node.
func (c *Client) DropJoinToken(ctx context.Context, id string) (fleet.JoinTokenRow, error) {
	return send[fleet.JoinTokenRow](ctx, c, call{method: http.MethodDelete, path: "/v1/join-tokens/" + url.PathEscape(id)}, nil)
}

// Trust returns what the node shows to those who do not trust it yet.
func (c *Client) Trust(ctx context.Context) (fleet.Trust, error) {
	return get[fleet.Trust](ctx, c, "/v1/join", nil)
}

// Join takes a join token for a certificate, once.
func (c *Client) Join(ctx context.Context, ask fleet.Join) (fleet.Joined, error) {
	return send[fleet.Joined](ctx, c, call{method: http.MethodPost, path: "/v1/join"}, ask)
}

// RenewCertificate returns another certificate of the caller's own subject.
func (c *Client) RenewCertificate(ctx context.Context, ask fleet.RenewCertificate) (fleet.Joined, error) {
	return send[fleet.Joined](ctx, c, call{method: http.MethodPost, path: "/v1/certificates"}, ask)
}
