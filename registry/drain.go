package registry

import (
	"context"

	"grapevine/api/client"
	"grapevine/fleet"
)

// StartDrain implements api.Drainer: the host's own agent does it.
func (c *core) StartDrain(ctx context.Context, id fleet.HostID, req fleet.DrainRequest) (fleet.Drain, error) {
	return c.drain(ctx, id, func(ctx context.Context, peer *client.Client) (fleet.Drain, error) {
		return peer.StartDrain(ctx, id, req)
	})
}

// Undrain implements api.Drainer: the host's own agent does it.
func (c *core) Undrain(ctx context.Context, id fleet.HostID) (fleet.Drain, error) {
	return c.drain(ctx, id, func(ctx context.Context, peer *client.Client) (fleet.Drain, error) { return peer.Undrain(ctx, id) })
}

func (c *core) drain(ctx context.Context, id fleet.HostID, ask func(context.Context, *client.Client) (fleet.Drain, error)) (fleet.Drain, error) {
	peer, err := c.Peer(id)
	if err != nil {
		return fleet.Drain{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	drain, err := ask(ctx, peer)
	if err != nil {
		return fleet.Drain{}, mutationError(c.HostName(id), fleet.InstanceID{}, err)
	}
	return drain, nil
}
