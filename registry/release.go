package registry

import (
	"context"

	"grapevine/fleet"
)

// ReleaseHost implements api.Core: the host's own agent does it.
func (c *core) ReleaseHost(ctx context.Context, id fleet.HostID, decide fleet.Decide) (fleet.Host, error) {
	peer, err := c.Peer(id)
	if err != nil {
		return fleet.Host{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	host, err := peer.ReleaseHost(ctx, id, decide)
	if err != nil {
		return fleet.Host{}, mutationError(c.HostName(id), fleet.InstanceID{}, err)
	}
	return host, nil
}
