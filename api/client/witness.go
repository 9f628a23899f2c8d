package client

import (
	"context"
	"net/http"
	"net/url"

	"grapevine/fleet"
)

// Grant asks a witness about a key.
func (c *Client) Grant(ctx context.Context, ask fleet.GrantAsk) (fleet.GrantAnswer, error) {
	return send[fleet.GrantAnswer](ctx, c, call{method: http.MethodPut, path: "/v1/grants/" + ask.Key.String()}, ask)
}

// Grants reads what a witness has, of the keys after one.
func (c *Client) Grants(ctx context.Context, after fleet.UUID) (fleet.GrantPage, error) {
	return get[fleet.GrantPage](ctx, c, "/v1/grants", url.Values{"after": {after.String()}})
}

// WitnessState returns what an agent says of the witness set.
func (c *Client) WitnessState(ctx context.Context) (fleet.WitnessState, error) {
	return get[fleet.WitnessState](ctx, c, "/v1/witness", nil)
}

// TellWitness tells an agent which witness set there is.
func (c *Client) TellWitness(ctx context.Context, update fleet.WitnessUpdate) (fleet.WitnessState, error) {
	return send[fleet.WitnessState](ctx, c, call{method: http.MethodPut, path: "/v1/witness"}, update)
}

// Witnesses returns the witness set, and what each witness says.
func (c *Client) Witnesses(ctx context.Context) (fleet.WitnessReport, error) {
	return get[fleet.WitnessReport](ctx, c, "/v1/witnesses", nil)
}

// ChangeWitnesses pins the first witness set, or replaces one of its members.
func (c *Client) ChangeWitnesses(ctx context.Context, change fleet.WitnessChange) (fleet.WitnessReport, error) {
	return send[fleet.WitnessReport](ctx, c, call{method: http.MethodPost, path: "/v1/witnesses"}, change)
}
