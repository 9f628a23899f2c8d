package registry

import (
	"context"

	"grapevine/api"
	"grapevine/api/client"
	"grapevine/fleet"
)

// RevokeTokens implements api.Core: an agent accepts the record. When it was asked
// for is said here, so that the same at the next agent is the same record.
func (c *core) RevokeTokens(ctx context.Context, ask fleet.RevokeTokens, by string, who api.Principal) (fleet.Decided, error) {
	if by != "" {
		return fleet.Decided{}, errPassedOn
	}
	if err := c.notReady(); err != nil {
		return fleet.Decided{}, err
	}
	r := ask.Record()
	done, err := accept(ctx, c, fleet.RankedFor(r.Subject, c.HostIDs()), func(ctx context.Context, peer *client.Client) (fleet.Decided, error) {
		return peer.RevokeTokens(ctx, ask, client.RevokeOptions{By: who.Word(), At: ask.At})
	})
	if err == nil {
		ctx, cancel := context.WithTimeout(ctx, heardWithin)
		defer cancel()
		c.AwaitRecord(ctx, fleet.NameRecord(&r))
	}
	return done, err
}
