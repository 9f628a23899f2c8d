package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"grapevine/fleet"
)

// Groups returns a page of the server groups.
func (c *Client) Groups(ctx context.Context, q fleet.ObjectQuery) (fleet.List[fleet.Group], error) {
	return get[fleet.List[fleet.Group]](ctx, c, "/v1/groups", objectQuery(q))
}

// Group returns one server group with its members.
func (c *Client) Group(ctx context.Context, ref fleet.ObjectRef) (fleet.Group, error) {
	return get[fleet.Group](ctx, c, "/v1/groups/"+url.PathEscape(ref.IDOrName), projectOf(ref))
}

// KeyPairs returns a page of the key pairs.
func (c *Client) KeyPairs(ctx context.Context, q fleet.ObjectQuery) (fleet.List[fleet.KeyPair], error) {
	return get[fleet.List[fleet.KeyPair]](ctx, c, "/v1/keypairs", objectQuery(q))
}

// KeyPair returns one key pair.
func (c *Client) KeyPair(ctx context.Context, ref fleet.ObjectRef) (fleet.KeyPair, error) {
	return get[fleet.KeyPair](ctx, c, "/v1/keypairs/"+url.PathEscape(ref.IDOrName), projectOf(ref))
}

// CreateGroup makes a server group.
func (c *Client) CreateGroup(ctx context.Context, ask fleet.CreateGroup) (fleet.Group, error) {
	return send[fleet.Group](ctx, c, call{method: http.MethodPost, path: "/v1/groups"}, ask)
}

// CreateKeyPair gives a public SSH key a name.
func (c *Client) CreateKeyPair(ctx context.Context, ask fleet.CreateKeyPair) (fleet.KeyPair, error) {
	return send[fleet.KeyPair](ctx, c, call{method: http.MethodPost, path: "/v1/keypairs"}, ask)
}

// EndObject ends a server group or a key pair, by the kind of the record that
// made it. By is for registries: who asked them.
func (c *Client) EndObject(ctx context.Context, kind fleet.RecordKind, ref fleet.ObjectRef, by string) (fleet.Decided, error) {
	path := "/v1/groups/"
	if kind == fleet.MakeKeyPair {
		path = "/v1/keypairs/"
	}
	query := projectOf(ref)
	if by != "" {
		query.Set("by", by)
	}
	return send[fleet.Decided](ctx, c, call{method: http.MethodDelete, path: path + url.PathEscape(ref.IDOrName), query: query}, nil)
}

func projectOf(ref fleet.ObjectRef) url.Values {
	query := url.Values{}
	if ref.Project != "" {
		query.Set("project", ref.Project)
	}
	return query
}

func objectQuery(q fleet.ObjectQuery) url.Values {
	query := projectOf(fleet.ObjectRef{Project: q.Project})
	if q.Name != "" {
		query.Set("name", q.Name)
	}
	if !q.Marker.IsZero() {
		query.Set("marker", q.Marker.String())
	}
	if q.Limit != 0 {
		query.Set("limit", strconv.Itoa(q.Limit))
	}
	return query
}
