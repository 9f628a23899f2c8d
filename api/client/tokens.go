package client

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"grapevine/fleet"
)

// IssueToken gets a token of a registry.
func (c *Client) IssueToken(ctx context.Context, ask fleet.IssueToken) (fleet.Token, error) {
	return send[fleet.Token](ctx, c, call{method: http.MethodPost, path: "/v1/tokens"}, ask)
}

// Login asks a registry by what people log in.
func (c *Client) Login(ctx context.Context) (fleet.Login, error) {
	return get[fleet.Login](ctx, c, "/v1/login", nil)
}

// RevokeOptions are what a registry fills in that passes a revocation on.
type RevokeOptions struct {
	By string
	At time.Time
}

// RevokeOwnToken has the token with which the client asks taken no more.
func (c *Client) RevokeOwnToken(ctx context.Context) (fleet.Decided, error) {
	return send[fleet.Decided](ctx, c, call{method: http.MethodDelete, path: "/v1/tokens/self"}, nil)
}

// RevokeTokens has one token taken no more, or all of a user.
func (c *Client) RevokeTokens(ctx context.Context, ask fleet.RevokeTokens, opts RevokeOptions) (fleet.Decided, error) {
	path, query := "/v1/users/"+url.PathEscape(ask.User)+"/tokens", url.Values{}
	if !ask.ID.IsZero() {
		path = "/v1/tokens/" + ask.ID.String()
		if ask.User != "" {
			query.Set("user", ask.User)
		}
	}
	if opts.By != "" {
		query.Set("by", opts.By)
	}
	if !opts.At.IsZero() {
		query.Set("at", opts.At.UTC().Format(time.RFC3339Nano))
	}
	return send[fleet.Decided](ctx, c, call{method: http.MethodDelete, path: path, query: query}, nil)
}

// Users returns the users of a registry's users file.
func (c *Client) Users(ctx context.Context) (fleet.List[fleet.User], error) {
	return get[fleet.List[fleet.User]](ctx, c, "/v1/users", nil)
}

// Projects returns the projects of a registry's users file.
func (c *Client) Projects(ctx context.Context) (fleet.List[fleet.Project], error) {
	return get[fleet.List[fleet.Project]](ctx, c, "/v1/projects", nil)
}
